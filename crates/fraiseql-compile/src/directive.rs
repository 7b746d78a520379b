//! The directives of the authoring language: which there are, where they may stand, what they say.
//!
//! Reads and checks one list of directives at a time; what follows from them is for others.

use std::collections::BTreeMap;

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Value};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::findings::{Findings, Place, suggesting};

/// The content of `directives.graphql`, for editors: every directive with its documentation.
pub const DIRECTIVES: &str = include_str!("directives.graphql");

/// Where a directive stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Object,
    Interface,
    Union,
    Field,
    Argument,
    Enum,
    EnumValue,
    Scalar,
    Input,
    InputField,
    Schema,
}

impl Site {
    fn words(self) -> &'static str {
        match self {
            Self::Object => "an object type",
            Self::Interface => "an interface",
            Self::Union => "a union",
            Self::Field => "a field",
            Self::Argument => "an argument",
            Self::Enum => "an enum",
            Self::EnumValue => "an enum value",
            Self::Scalar => "a scalar",
            Self::Input => "an input type",
            Self::InputField => "a field of an input type",
            Self::Schema => "the schema",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    Texts,
    /// A condition on rows, which is read where its columns are known.
    Rows,
}

struct Spec {
    name: &'static str,
    sites: &'static [Site],
    arguments: &'static [(&'static str, Kind, bool)],
    /// True for those of GraphQL itself, which stay in the public schema.
    public: bool,
    /// True for those that may stand more than once on a type, or on the schema.
    repeatable: bool,
}

const fn ours(
    name: &'static str,
    sites: &'static [Site],
    arguments: &'static [(&'static str, Kind, bool)],
) -> Spec {
    Spec { name, sites, arguments, public: false, repeatable: false }
}

const fn repeatable(spec: Spec) -> Spec {
    Spec { repeatable: true, ..spec }
}

/// What a caller must have.
const GUARD: &[(&str, Kind, bool)] = &[
    ("roles", Kind::Texts, false),
    ("scopes", Kind::Texts, false),
    ("signedIn", Kind::Flag, false),
    ("rows", Kind::Rows, false),
    ("rule", Kind::Text, false),
];

const SPECS: &[Spec] = &[
    ours(
        "relation",
        &[Site::Object, Site::Interface],
        &[("name", Kind::Text, true), ("schema", Kind::Text, false), ("key", Kind::Texts, false)],
    ),
    ours("discriminator", &[Site::Interface], &[("column", Kind::Text, true)]),
    ours("variant", &[Site::Object], &[("value", Kind::Text, true)]),
    ours(
        "write",
        &[Site::Object],
        &[
            ("insert", Kind::Flag, false),
            ("update", Kind::Flag, false),
            ("delete", Kind::Flag, false),
            ("upsert", Kind::Flag, false),
        ],
    ),
    ours(
        "read",
        &[Site::Object],
        &[
            ("aggregate", Kind::Flag, false),
            ("connection", Kind::Flag, false),
            ("distinct", Kind::Flag, false),
        ],
    ),
    ours("json", &[Site::Object, Site::Field], &[("column", Kind::Text, false), ("key", Kind::Text, false)]),
    ours("column", &[Site::Field, Site::InputField], &[("name", Kind::Text, true)]),
    ours(
        "reference",
        &[Site::Field],
        &[
            ("columns", Kind::Texts, true),
            ("target", Kind::Texts, false),
            ("discriminator", Kind::Text, false),
        ],
    ),
    ours("neverNull", &[Site::Field], &[]),
    ours("version", &[Site::Field], &[]),
    ours("function", &[Site::Field], &[("name", Kind::Text, false), ("schema", Kind::Text, false)]),
    ours("parameter", &[Site::Argument], &[("name", Kind::Text, true)]),
    ours("enum", &[Site::Enum], &[("name", Kind::Text, true), ("schema", Kind::Text, false)]),
    ours("label", &[Site::EnumValue], &[("name", Kind::Text, true)]),
    repeatable(ours("auth", &[Site::Object, Site::Field], GUARD)),
    repeatable(ours("authWrite", &[Site::Object, Site::Field], GUARD)),
    repeatable(ours(
        "preset",
        &[Site::Object],
        &[("column", Kind::Text, true), ("claim", Kind::Texts, true), ("update", Kind::Flag, false)],
    )),
    repeatable(ours("rowRule", &[Site::Schema], &[("name", Kind::Text, true), ("rows", Kind::Rows, true)])),
    repeatable(ours("role", &[Site::Schema], &[("name", Kind::Text, true), ("inherits", Kind::Texts, true)])),
    Spec {
        name: "deprecated",
        sites: &[Site::Field, Site::Argument, Site::EnumValue, Site::InputField],
        arguments: &[("reason", Kind::Text, false)],
        public: true,
        repeatable: false,
    },
    Spec { name: "oneOf", sites: &[Site::Input], arguments: &[], public: true, repeatable: false },
    Spec {
        name: "specifiedBy",
        sites: &[Site::Scalar],
        arguments: &[("url", Kind::Text, true)],
        public: true,
        repeatable: false,
    },
];

/// Returns true for a directive of the authoring language.
pub(crate) fn is_ours(name: &str) -> bool {
    SPECS.iter().any(|spec| spec.name == name && !spec.public)
}

/// Returns true for a directive that stays in the public schema.
pub(crate) fn is_public(name: &str) -> bool {
    SPECS.iter().any(|spec| spec.name == name && spec.public)
}

/// The directives of one place, checked.
#[derive(Debug, Default)]
pub(crate) struct Applied<'d>(BTreeMap<&'static str, Vec<Usage<'d>>>);

/// One directive, checked.
#[derive(Debug)]
pub(crate) struct Usage<'d> {
    pub(crate) place: Place,
    arguments: BTreeMap<&'static str, Given<'d>>,
}

#[derive(Debug)]
struct Given<'d> {
    place: Place,
    value: Reading<'d>,
}

#[derive(Debug)]
enum Reading<'d> {
    Rows,
    Text(&'d str),
    Flag(bool),
    Texts(Vec<&'d str>),
}

impl<'d> Applied<'d> {
    /// Checks a list of directives; only those without fault are in the result.
    pub(crate) fn read(
        findings: &mut Findings,
        site: Site,
        list: impl IntoIterator<Item = &'d Node<Directive>>,
    ) -> Self {
        let mut applied = Self::default();
        for directive in list {
            let place = directive.name.location().or_else(|| directive.location());
            let Some(spec) = SPECS.iter().find(|spec| spec.name == directive.name.as_str()) else {
                findings.add(place, unknown(&directive.name, site));
                continue;
            };
            if !spec.sites.contains(&site) {
                findings.add(place, misplaced(spec, site));
                continue;
            }
            let again = spec.repeatable && matches!(site, Site::Object | Site::Schema);
            if applied.0.contains_key(spec.name) && !again {
                let message = format!("@{} stands here twice", spec.name);
                findings.add(place, Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
                continue;
            }
            if let Some(arguments) = arguments(findings, spec, directive) {
                let place = directive.location();
                applied.0.entry(spec.name).or_default().push(Usage { place, arguments });
            }
        }
        applied
    }

    /// Returns the directive of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Usage<'d>> {
        self.all(name).first()
    }

    /// Returns every directive of that name.
    pub(crate) fn all(&self, name: &str) -> &[Usage<'d>] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the first directive of those named, which cannot mean anything here.
    pub(crate) fn any_of(&self, names: &[&'static str]) -> Option<(&'static str, Place)> {
        let found = names.iter().find_map(|name| self.0.get_key_value(name));
        found.and_then(|(name, usages)| Some((*name, usages.first()?.place)))
    }
}

impl<'d> Usage<'d> {
    /// Returns a text argument.
    pub(crate) fn text(&self, name: &str) -> Option<&'d str> {
        match self.arguments.get(name)?.value {
            Reading::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a Boolean argument, false when it was left out.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.arguments.get(name).is_some_and(|given| matches!(given.value, Reading::Flag(true)))
    }

    /// Returns a list argument.
    pub(crate) fn texts(&self, name: &str) -> Option<&[&'d str]> {
        match &self.arguments.get(name)?.value {
            Reading::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// Returns where an argument stands, or the directive when it was left out.
    pub(crate) fn place_of(&self, name: &str) -> Place {
        self.arguments.get(name).map_or(self.place, |given| given.place)
    }
}

fn unknown(name: &str, site: Site) -> Diagnostic {
    let known = SPECS.iter().filter(|spec| spec.sites.contains(&site)).map(|spec| spec.name);
    let error = Diagnostic::error(&errors::SDL_UNKNOWN_DIRECTIVE, format!("there is no directive @{name}"));
    match fraiseql_model::names::nearest(name, known.clone()) {
        Some(near) => error.hint(format!("did you mean @{near}?")),
        None => {
            let known: Vec<String> = known.map(|name| format!("@{name}")).collect();
            let known = crate::findings::listed(&known);
            error.hint(format!("{} may have {known}", site.words()))
        }
    }
}

fn misplaced(spec: &Spec, site: Site) -> Diagnostic {
    let sites: Vec<&str> = spec.sites.iter().map(|site| site.words()).collect();
    let message = format!("@{} cannot stand on {}", spec.name, site.words());
    Diagnostic::error(&errors::SDL_UNKNOWN_DIRECTIVE, message)
        .why(format!("it belongs on {}", crate::findings::listed(&sites)))
}

fn arguments<'d>(
    findings: &mut Findings,
    spec: &Spec,
    directive: &'d Node<Directive>,
) -> Option<BTreeMap<&'static str, Given<'d>>> {
    let mut read = BTreeMap::new();
    let mut whole = true;
    let mut refuse = |place: Place, diagnostic: Diagnostic| {
        findings.add(place, diagnostic);
        whole = false;
    };
    for argument in &directive.arguments {
        let place = argument.location();
        let Some((name, kind, required)) =
            spec.arguments.iter().find(|(name, ..)| *name == argument.name.as_str())
        else {
            let message = format!("@{} has no argument \"{}\"", spec.name, argument.name);
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message);
            let known = spec.arguments.iter().map(|(name, ..)| *name);
            refuse(place, suggesting(error, &argument.name, known));
            continue;
        };
        match reading(*kind, &argument.value) {
            _ if read.contains_key(name) => {
                let message = format!("\"{name}\" stands twice");
                refuse(place, Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
            }
            Some(value) => {
                read.insert(*name, Given { place, value });
            }
            None if !required && argument.value.is_null() => {}
            None => {
                let message = format!("\"{name}\" of @{} is {}", spec.name, expected(*kind));
                let place = argument.value.location().or(place);
                refuse(place, Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
            }
        }
    }
    let mentioned = |name: &str| directive.arguments.iter().any(|argument| argument.name == name);
    for (name, kind, _) in spec.arguments.iter().filter(|(name, _, required)| *required && !mentioned(name)) {
        let message = format!("@{} needs \"{name}\", {}", spec.name, expected(*kind));
        refuse(directive.location(), Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
    }
    whole.then_some(read)
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a string, in quotes",
        Kind::Flag => "true or false",
        Kind::Texts => "a list of strings such as [\"artist_id\"], not empty",
        Kind::Rows => "a condition such as {owner: {eq: {claim: \"sub\"}}}",
    }
}

fn reading(kind: Kind, value: &Value) -> Option<Reading<'_>> {
    match (kind, value) {
        (Kind::Text, Value::String(text)) => Some(Reading::Text(text)),
        (Kind::Flag, Value::Boolean(flag)) => Some(Reading::Flag(*flag)),
        (Kind::Rows, Value::Object(_)) => Some(Reading::Rows),
        // One value stands for a list of it: section 3.11 of the specification.
        (Kind::Texts, Value::String(text)) => Some(Reading::Texts(vec![text])),
        (Kind::Texts, Value::List(items)) if !items.is_empty() => {
            let texts = items.iter().map(|item| item.as_str()).collect::<Option<Vec<_>>>()?;
            Some(Reading::Texts(texts))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use apollo_compiler::ast::{Definition, Document};

    use super::*;

    #[test]
    fn the_file_for_editors_says_what_is_checked() {
        let document = Document::parse(DIRECTIVES, "directives.graphql").unwrap();
        let written: Vec<String> = document
            .definitions
            .iter()
            .map(|definition| match definition {
                Definition::DirectiveDefinition(directive) => {
                    let arguments: Vec<String> = directive
                        .arguments
                        .iter()
                        .map(|argument| format!("{} {}", argument.name, argument.ty))
                        .collect();
                    let sites: Vec<&str> = directive.locations.iter().map(|site| site.name()).collect();
                    let again = if directive.repeatable { " again" } else { "" };
                    format!("{}({}){again} {}", directive.name, arguments.join(" "), sites.join(" "))
                }
                Definition::ScalarTypeDefinition(scalar) => format!("scalar {}", scalar.name),
                _ => "not a directive".to_owned(),
            })
            .collect();
        let ours = SPECS.iter().filter(|spec| !spec.public).map(described);
        let checked: Vec<String> = ours.chain(["scalar RowCondition".to_owned()]).collect();
        assert_eq!(written, checked);
    }

    fn described(spec: &Spec) -> String {
        let argument = |(name, kind, required): &(&str, Kind, bool)| {
            let bang = if *required { "!" } else { "" };
            match kind {
                Kind::Text => format!("{name} String{bang}"),
                Kind::Flag => format!("{name} Boolean{bang}"),
                Kind::Texts => format!("{name} [String!]{bang}"),
                Kind::Rows => format!("{name} RowCondition{bang}"),
            }
        };
        let site = |site: &Site| match site {
            Site::Object => "OBJECT",
            Site::Interface => "INTERFACE",
            Site::Union => "UNION",
            Site::Field => "FIELD_DEFINITION",
            Site::Argument => "ARGUMENT_DEFINITION",
            Site::Enum => "ENUM",
            Site::EnumValue => "ENUM_VALUE",
            Site::Scalar => "SCALAR",
            Site::Input => "INPUT_OBJECT",
            Site::InputField => "INPUT_FIELD_DEFINITION",
            Site::Schema => "SCHEMA",
        };
        let arguments: Vec<String> = spec.arguments.iter().map(argument).collect();
        let sites: Vec<&str> = spec.sites.iter().map(site).collect();
        let again = if spec.repeatable { " again" } else { "" };
        format!("{}({}){again} {}", spec.name, arguments.join(" "), sites.join(" "))
    }
}
