//! The kinds of changes, how bad each is, and what it is in words.

use super::Change;

/// How bad a change is for clients that are out there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeSeverity {
    /// An operation that was valid may not be any more, or may get what it cannot read.
    Breaking,
    /// Every operation stays valid; a client may still behave otherwise.
    Dangerous,
    /// No client notices.
    Safe,
}

impl ChangeSeverity {
    /// All of them, worst first.
    pub const ALL: [Self; 3] = [Self::Breaking, Self::Dangerous, Self::Safe];

    /// Returns it as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Dangerous => "dangerous",
            Self::Safe => "safe",
        }
    }
}

macro_rules! kinds {
    ($($severity:ident { $($name:ident = $code:literal, $doc:literal;)* })*) => {
        /// What was done to a schema.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ChangeKind {
            $($(#[doc = $doc] $name,)*)*
        }

        impl ChangeKind {
            /// Every kind, worst first.
            pub const ALL: &[Self] = &[$($(Self::$name,)*)*];

            /// Returns how bad it is.
            pub fn severity(self) -> ChangeSeverity {
                match self {
                    $($(Self::$name => ChangeSeverity::$severity,)*)*
                }
            }

            /// Returns its name as graphql-js writes it.
            pub fn code(self) -> &'static str {
                match self {
                    $($(Self::$name => $code,)*)*
                }
            }
        }
    };
}

kinds! {
    Breaking {
        TypeRemoved = "TYPE_REMOVED", "A type is gone.";
        TypeChangedKind = "TYPE_CHANGED_KIND", "An object became a union, and the like.";
        TypeRemovedFromUnion = "TYPE_REMOVED_FROM_UNION", "A union lost a member.";
        ValueRemovedFromEnum = "VALUE_REMOVED_FROM_ENUM", "An enum lost a value.";
        RequiredInputFieldAdded = "REQUIRED_INPUT_FIELD_ADDED", "An input has a new field that must be given.";
        ImplementedInterfaceRemoved = "IMPLEMENTED_INTERFACE_REMOVED", "A type implements an interface no more.";
        FieldRemoved = "FIELD_REMOVED", "A field is gone.";
        FieldChangedKind = "FIELD_CHANGED_KIND", "A field has a type that clients cannot read or give.";
        RequiredArgAdded = "REQUIRED_ARG_ADDED", "A field has a new argument that must be given.";
        ArgRemoved = "ARG_REMOVED", "An argument is gone.";
        ArgChangedKind = "ARG_CHANGED_KIND", "An argument has a type that clients do not give.";
        DirectiveRemoved = "DIRECTIVE_REMOVED", "A directive is gone.";
        DirectiveArgRemoved = "DIRECTIVE_ARG_REMOVED", "An argument of a directive is gone.";
        RequiredDirectiveArgAdded = "REQUIRED_DIRECTIVE_ARG_ADDED", "A directive has a new argument that must be given.";
        DirectiveRepeatableRemoved = "DIRECTIVE_REPEATABLE_REMOVED", "A directive may be written once only.";
        DirectiveLocationRemoved = "DIRECTIVE_LOCATION_REMOVED", "A directive may not stand at some place any more.";
        RootTypeRemoved = "ROOT_TYPE_REMOVED", "There are no mutations (queries, subscriptions) any more. Unknown to graphql-js.";
        OneOfAdded = "ONE_OF_ADDED", "Exactly one field of an input must be given now. Unknown to graphql-js.";
    }
    Dangerous {
        ValueAddedToEnum = "VALUE_ADDED_TO_ENUM", "An enum has a new value.";
        TypeAddedToUnion = "TYPE_ADDED_TO_UNION", "A union has a new member.";
        OptionalInputFieldAdded = "OPTIONAL_INPUT_FIELD_ADDED", "An input has a new field that may be left out.";
        OptionalArgAdded = "OPTIONAL_ARG_ADDED", "A field has a new argument that may be left out.";
        ImplementedInterfaceAdded = "IMPLEMENTED_INTERFACE_ADDED", "A type implements one more interface.";
        ArgDefaultValueChange = "ARG_DEFAULT_VALUE_CHANGE", "What is taken when an argument is left out is another.";
        InputFieldDefaultValueChange = "INPUT_FIELD_DEFAULT_VALUE_CHANGE", "What is taken when an input field is left out is another.";
    }
    Safe {
        DescriptionChanged = "DESCRIPTION_CHANGED", "A description is another.";
        TypeAdded = "TYPE_ADDED", "A type is new.";
        DirectiveAdded = "DIRECTIVE_ADDED", "A directive is new.";
        FieldAdded = "FIELD_ADDED", "A field is new.";
        DirectiveRepeatableAdded = "DIRECTIVE_REPEATABLE_ADDED", "A directive may be written several times.";
        DirectiveLocationAdded = "DIRECTIVE_LOCATION_ADDED", "A directive may stand at one more place.";
        OptionalDirectiveArgAdded = "OPTIONAL_DIRECTIVE_ARG_ADDED", "A directive has a new argument that may be left out.";
        FieldChangedKindSafe = "FIELD_CHANGED_KIND_SAFE", "A field has another type that every client can read or give.";
        ArgChangedKindSafe = "ARG_CHANGED_KIND_SAFE", "An argument takes more than before.";
        ArgDefaultValueAdded = "ARG_DEFAULT_VALUE_ADDED", "An argument may be left out.";
        InputFieldDefaultValueAdded = "INPUT_FIELD_DEFAULT_VALUE_ADDED", "An input field may be left out.";
        RootTypeAdded = "ROOT_TYPE_ADDED", "There are mutations (queries, subscriptions) now. Unknown to graphql-js.";
        OneOfRemoved = "ONE_OF_REMOVED", "Any fields of an input may be given now. Unknown to graphql-js.";
        Deprecated = "DEPRECATED", "Something is deprecated. Unknown to graphql-js.";
        DeprecationRemoved = "DEPRECATION_REMOVED", "Something is not deprecated any more. Unknown to graphql-js.";
    }
}

/// Returns a change in words.
pub(super) fn message(change: &Change) -> String {
    let old = change.old.as_deref().unwrap_or("nothing");
    let new = change.new.as_deref().unwrap_or("nothing");
    let unknown = "a client may meet what it does not know";
    match change.kind {
        ChangeKind::TypeRemoved => format!("the {old} is gone"),
        ChangeKind::TypeChangedKind => format!("it was of kind {old} and is of kind {new}"),
        ChangeKind::TypeRemovedFromUnion => format!("{old} is no member any more"),
        ChangeKind::ValueRemovedFromEnum => "the enum value is gone".to_owned(),
        ChangeKind::RequiredInputFieldAdded => format!("the field is new and must be given ({new})"),
        ChangeKind::ImplementedInterfaceRemoved => format!("it does not implement {old} any more"),
        ChangeKind::FieldRemoved => "the field is gone".to_owned(),
        ChangeKind::RequiredArgAdded | ChangeKind::RequiredDirectiveArgAdded => {
            format!("the argument is new and must be given ({new})")
        }
        ChangeKind::ArgRemoved | ChangeKind::DirectiveArgRemoved => "the argument is gone".to_owned(),
        ChangeKind::FieldChangedKind
        | ChangeKind::ArgChangedKind
        | ChangeKind::FieldChangedKindSafe
        | ChangeKind::ArgChangedKindSafe => format!("its type was {old} and is {new}"),
        ChangeKind::DirectiveRemoved => "the directive is gone".to_owned(),
        ChangeKind::DirectiveRepeatableRemoved => "it may be written once only".to_owned(),
        ChangeKind::DirectiveLocationRemoved => format!("it may not stand on {old} any more"),
        ChangeKind::RootTypeRemoved => format!("{old} is no root type any more"),
        ChangeKind::OneOfAdded => "exactly one field must be given now (@oneOf)".to_owned(),
        ChangeKind::ValueAddedToEnum => format!("the enum value is new: {unknown}"),
        ChangeKind::TypeAddedToUnion => format!("{new} is a new member: {unknown}"),
        ChangeKind::OptionalInputFieldAdded => format!("the field is new and may be left out ({new})"),
        ChangeKind::OptionalArgAdded | ChangeKind::OptionalDirectiveArgAdded => {
            format!("the argument is new and may be left out ({new})")
        }
        ChangeKind::ImplementedInterfaceAdded => format!("it implements {new} now: {unknown}"),
        ChangeKind::ArgDefaultValueChange | ChangeKind::InputFieldDefaultValueChange => {
            format!("its default was {old} and is {new}")
        }
        ChangeKind::DescriptionChanged => "its description is another".to_owned(),
        ChangeKind::TypeAdded => format!("the {new} is new"),
        ChangeKind::DirectiveAdded => "the directive is new".to_owned(),
        ChangeKind::FieldAdded => "the field is new".to_owned(),
        ChangeKind::DirectiveRepeatableAdded => "it may be written several times".to_owned(),
        ChangeKind::DirectiveLocationAdded => format!("it may stand on {new} too"),
        ChangeKind::ArgDefaultValueAdded | ChangeKind::InputFieldDefaultValueAdded => {
            format!("it has the default {new} now")
        }
        ChangeKind::RootTypeAdded => format!("{new} is a root type now"),
        ChangeKind::OneOfRemoved => "any of its fields may be given now (no @oneOf)".to_owned(),
        ChangeKind::Deprecated => format!("it is deprecated: {new}"),
        ChangeKind::DeprecationRemoved => "it is not deprecated any more".to_owned(),
    }
}
