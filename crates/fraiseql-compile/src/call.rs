//! Binds fields of Query and Mutation to SQL functions: which overload, which parameters, what comes back.

use apollo_compiler::Node;
use apollo_compiler::ast::{InputValueDefinition, Type, UnionTypeDefinition, Value};
use fraiseql_model::artifact::{FunctionArgument, FunctionCall, FunctionReturn};
use fraiseql_model::catalog::{Function, FunctionResult, Nullability, Parameter, QualifiedName, TypeRef};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::casing::{camel_case, snake_case};
use crate::column::{Side, Vocabulary, non_null, spelled, value_type};
use crate::database::{Element, Found};
use crate::directive::{Applied, Site};
use crate::draft::{DraftField, Drafts};
use crate::findings::{Findings, listed, suggesting};
use crate::outcome;
use crate::rows;
use crate::shape::Shape;

/// A function that a root field calls.
#[derive(Clone, Debug)]
pub(crate) struct BoundCall<'a> {
    pub(crate) function: &'a Function,
    pub(crate) call: FunctionCall,
    /// The parameters that are given, with the types of what they take.
    pub(crate) given: Vec<(&'a Parameter, Element)>,
    /// What a value result consists of.
    pub(crate) result: Option<Element>,
    /// True when every argument may be left out, and nothing stands for it then.
    pub(crate) bare: bool,
    /// The types of the values of an outcome, with the GraphQL types that they become.
    pub(crate) decoded: Vec<(Element, String)>,
    /// The types of the attributes that input types fill, with what fills them.
    pub(crate) filled: Vec<(Element, String)>,
}

/// A root field that calls a function.
pub(crate) struct Caller<'a, 'w> {
    /// `Query.topTracks`, for messages.
    pub(crate) owner: String,
    pub(crate) field: &'a DraftField<'a>,
    pub(crate) drafts: &'a Drafts<'a, 'a>,
    pub(crate) words: &'w Vocabulary<'a>,
    /// True for fields that must not write.
    pub(crate) query: bool,
    /// For a computed field: the relation whose row is the first argument.
    pub(crate) row: Option<&'a QualifiedName>,
}

/// Arguments that lists of rows get by themselves.
pub(crate) const LIST_ARGUMENTS: &[&str] = &["where", "orderBy", "limit", "offset"];

impl<'a> Caller<'a, '_> {
    /// Binds the call, or adds why it cannot be.
    pub(crate) fn bind(&self, findings: &mut Findings) -> Option<BoundCall<'a>> {
        let overloads = self.overloads(findings)?;
        let (function, given) = self.resolve(findings, &overloads)?;
        if self.query && function.volatility == fraiseql_model::catalog::Volatility::Volatile {
            let message = format!("{} calls {}, which may write", self.owner, function.name);
            let error = Diagnostic::error(&errors::SDL_VOLATILE_FUNCTION, message)
                .why("queries run in read-only transactions, and the function is declared VOLATILE")
                .hint(match self.row {
                    Some(_) => "declare it STABLE if it only reads",
                    None => "declare it STABLE if it only reads, or move the field to Mutation",
                });
            findings.add(self.field.definition.name.location(), error);
        }
        let (returns, result, decoded) = match self.outcome() {
            Some((shape, union)) if !self.query => {
                let bound = outcome::bind(findings, self, function, &shape, union)?;
                (FunctionReturn::Outcome(bound.outcome), None, bound.decoded)
            }
            _ => {
                let (returns, result) = self.returns(findings, function)?;
                (returns, result, Vec::new())
            }
        };
        if self.query && matches!(returns, FunctionReturn::Object { set: true, .. }) {
            self.refuse_list_arguments(findings, &given);
        }
        let filled = self.filled(&given);
        let arguments = given.iter().map(|(argument, ..)| argument.clone()).collect();
        Some(BoundCall {
            function,
            call: FunctionCall { function: function.name.clone(), arguments, returns },
            given: given.into_iter().map(|(_, parameter, element)| (parameter, element)).collect(),
            result,
            bare: self.is_bare(),
            decoded,
            filled,
        })
    }

    fn is_bare(&self) -> bool {
        let mut arguments = self.field.definition.arguments.iter();
        arguments.all(|argument| !argument.ty.is_non_null() && argument.default_value.is_none())
    }

    /// Returns the types of the attributes that the arguments of input types fill.
    fn filled(&self, given: &Given<'_>) -> Vec<(Element, String)> {
        let of_input = |(argument, parameter, _): &(FunctionArgument, &Parameter, Element)| {
            let input = self.words.inputs.get(&argument.value.graphql);
            input.map_or_else(Vec::new, |input| input.written(self.words, &parameter.sql_type))
        };
        given.iter().flat_map(of_input).collect()
    }

    fn outcome(&self) -> Option<(Shape<'a>, &'a UnionTypeDefinition)> {
        let shape = Shape::of(&self.field.definition.ty)?;
        let union = self.words.outcomes.unions.get(shape.name.as_str())?;
        Some((shape, union))
    }

    fn refuse_list_arguments(&self, findings: &mut Findings, given: &Given<'_>) {
        for argument in &self.field.definition.arguments {
            if !LIST_ARGUMENTS.contains(&argument.name.as_str()) {
                continue;
            }
            let message = format!("{} gets the argument \"{}\" by itself", self.owner, argument.name);
            let parameter = given.iter().find(|(bound, ..)| argument.name.as_str() == bound.argument);
            let name = parameter.map_or("...", |(_, parameter, _)| parameter.name.as_str());
            let error = Diagnostic::error(&errors::SDL_NAME_TAKEN, message)
                .hint(format!("call yours otherwise, with @parameter(name: \"{name}\")"));
            findings.add(argument.name.location(), error);
        }
    }

    /// Returns the parameters that arguments are for.
    fn parameters(&self, function: &'a Function) -> &'a [Parameter] {
        let all = function.parameters.as_slice();
        if self.row.is_some() { all.get(1..).unwrap_or_default() } else { all }
    }

    /// Returns true when the function takes what the field has to give first.
    fn takes_row(&self, function: &Function) -> bool {
        let Some(row) = self.row else { return true };
        let first = function.parameters.first();
        first.is_some_and(|first| first.sql_type.name == *row && !first.sql_type.array)
    }

    fn overloads(&self, findings: &mut Findings) -> Option<Vec<&'a Function>> {
        let usage = self.field.applied.get("function")?;
        let guess = snake_case(&self.field.definition.name);
        let name = usage.text("name").unwrap_or(&guess);
        let place = usage.place_of("name");
        match self.words.database.find_functions(name, usage.text("schema")) {
            Found::One(overloads) => {
                let fitting: Vec<&Function> =
                    overloads.iter().copied().filter(|function| self.takes_row(function)).collect();
                if let (true, Some(row)) = (fitting.is_empty(), self.row) {
                    let message = format!("{} does not take a row of {row} first", overloads[0].name);
                    let error = Diagnostic::error(&errors::SDL_UNKNOWN_FUNCTION, message)
                        .why("a computed field calls its function with the row that it stands on")
                        .hint(format!(
                            "CREATE FUNCTION {}({} {}, ...)",
                            overloads[0].name,
                            row.name,
                            row.sql()
                        ));
                    findings.add(place, error);
                    return None;
                }
                Some(fitting)
            }
            Found::Several(names) => {
                let schemas: Vec<&str> = names.iter().map(|name| name.schema.as_str()).collect();
                let message = format!("functions named \"{name}\" are in the schemas {}", listed(&schemas));
                let hint = format!("say which: @function(name: \"{name}\", schema: \"{}\")", schemas[0]);
                findings.add(place, Diagnostic::error(&errors::SDL_UNKNOWN_FUNCTION, message).hint(hint));
                None
            }
            Found::None => {
                let message = format!("the database has no function \"{}\"", usage.qualified(name));
                let error = Diagnostic::error(&errors::SDL_UNKNOWN_FUNCTION, message);
                findings.add(place, suggesting(error, name, self.words.database.function_names()));
                None
            }
        }
    }

    fn resolve(
        &self,
        findings: &mut Findings,
        overloads: &[&'a Function],
    ) -> Option<(&'a Function, Given<'a>)> {
        let mut applied = Vec::new();
        for argument in &self.field.definition.arguments {
            applied.push((argument, Applied::read(findings, Site::Argument, &argument.directives.0)));
        }
        if let [only] = overloads {
            return self.arguments(findings, only, &applied).map(|given| (*only, given));
        }
        let mut fitting = Vec::new();
        for overload in overloads {
            let mut attempt = findings.scratch();
            if let Some(given) = self.arguments(&mut attempt, overload, &applied)
                && !attempt.has_errors()
            {
                fitting.push((*overload, given));
            }
        }
        if fitting.len() == 1 {
            return fitting.pop();
        }
        let name = &overloads[0].name;
        let what = if fitting.is_empty() { "none" } else { "more than one" };
        let message = format!("{what} of the {} functions {name} fits {}", overloads.len(), self.owner);
        let signatures: Vec<String> = overloads.iter().map(|overload| shown(overload)).collect();
        let error = Diagnostic::error(&errors::SDL_UNKNOWN_FUNCTION, message)
            .why("an overload is chosen by the names and types of the arguments")
            .hint(format!("there are\n{}", signatures.join("\n")));
        findings.add(self.field.definition.name.location(), error);
        None
    }

    /// Pairs arguments with parameters; `None` when that is not possible.
    fn arguments(
        &self,
        findings: &mut Findings,
        function: &'a Function,
        written: &[(&'a Node<InputValueDefinition>, Applied<'a>)],
    ) -> Option<Given<'a>> {
        let parameters = self.parameters(function);
        let positional = parameters.iter().any(|parameter| parameter.name.is_empty());
        let mut given: Given<'a> = Vec::new();
        let mut whole = true;
        for (at, (argument, applied)) in written.iter().enumerate() {
            let renamed = applied.get("parameter").and_then(|usage| usage.text("name"));
            let parameter =
                if positional { parameters.get(at) } else { named(parameters, &argument.name, renamed) };
            let Some(parameter) = parameter else {
                findings.add(argument.name.location(), unknown_argument(function, &argument.name, renamed));
                whole = false;
                continue;
            };
            if given.iter().any(|(_, taken, _)| std::ptr::eq(*taken, parameter)) {
                let message = format!("two arguments are for the parameter \"{}\"", parameter.name);
                findings.add(argument.name.location(), Diagnostic::error(&errors::SDL_ARGUMENT, message));
                whole = false;
                continue;
            }
            match self.argument(findings, function, argument, parameter, positional) {
                Some((bound, element)) => given.push((bound, parameter, element)),
                None => whole = false,
            }
        }
        // The list for a VARIADIC parameter stands last in a call.
        given.sort_by_key(|(bound, ..)| bound.variadic);
        let is_given =
            |parameter: &Parameter| given.iter().any(|(_, taken, _)| std::ptr::eq(*taken, parameter));
        for parameter in parameters {
            if whole && !parameter.has_default && !is_given(parameter) {
                findings.add(self.field.definition.name.location(), self.missing(function, parameter));
                whole = false;
            }
        }
        whole.then_some(given)
    }

    fn argument(
        &self,
        findings: &mut Findings,
        function: &Function,
        argument: &'a Node<InputValueDefinition>,
        parameter: &'a Parameter,
        positional: bool,
    ) -> Option<(FunctionArgument, Element)> {
        let place = argument.name.location();
        let Some(shape) = Shape::of(&argument.ty) else {
            let message = format!("argument {} is a list of lists", argument.name);
            findings.add(place, Diagnostic::error(&errors::SDL_UNSUPPORTED, message));
            return None;
        };
        let owner = format!("argument {}", argument.name);
        let source = format!("parameter \"{}\" of {}", parameter.name, function.name);
        let side = Side { owner: &owner, source: &source, sql_type: &parameter.sql_type, input: true };
        let (value, element) = value_type(findings, self.words, &shape, &side)?;
        if let Some(default) = &argument.default_value
            && !fits(self.words, default, &argument.ty)
        {
            let message = format!("{default} is no {}", argument.ty);
            findings.add(default.location().or(place), Diagnostic::error(&errors::SDL_ARGUMENT, message));
            return None;
        }
        if shape.non_null && argument.default_value.is_none() && argument.directives.has("deprecated") {
            let message = format!("{owner} is required and cannot be deprecated");
            let error = Diagnostic::error(&errors::SDL_INVALID, message);
            findings.add(place, error.why("nobody could leave it out"));
            return None;
        }
        if !parameter.has_default && !shape.non_null && argument.default_value.is_none() {
            let message = format!("{source} must be given, but {owner} may be left out");
            let error = Diagnostic::error(&errors::SDL_ARGUMENT, message)
                .hint(format!("write {}!, or give a default: {} = null", argument.ty, argument.ty));
            findings.add(place, error);
            return None;
        }
        let bound = FunctionArgument {
            argument: argument.name.to_string(),
            parameter: if positional { String::new() } else { parameter.name.clone() },
            value,
            variadic: parameter.variadic,
        };
        Some((bound, element))
    }

    fn missing(&self, function: &Function, parameter: &Parameter) -> Diagnostic {
        let name = if parameter.name.is_empty() { "value" } else { &parameter.name };
        let element = self.words.database.element(&parameter.sql_type);
        let scalar = element.and_then(|element| Some((element.class.scalar()?, element.list)));
        let written = match scalar {
            Some((scalar, true)) => format!("[{scalar}]!"),
            Some((scalar, false)) => format!("{scalar}!"),
            None => "...".to_owned(),
        };
        let message =
            format!("{} does not give the parameter \"{}\" of {}", self.owner, parameter.name, function.name);
        Diagnostic::error(&errors::SDL_ARGUMENT, message)
            .why(format!("it is {} and has no default", spelled(&parameter.sql_type)))
            .hint(format!("add the argument {}: {written}", camel_case(name, "value")))
    }

    fn returns(
        &self,
        findings: &mut Findings,
        function: &'a Function,
    ) -> Option<(FunctionReturn, Option<Element>)> {
        let definition = self.field.definition;
        let place = definition.ty.inner_named_type().location();
        let Some(shape) = Shape::of(&definition.ty) else {
            let message = format!("{} is a list of lists", self.owner);
            findings.add(place, Diagnostic::error(&errors::SDL_UNSUPPORTED, message));
            return None;
        };
        let is_object = self.drafts.get(shape.name).is_some();
        if self.drafts.get(shape.name).is_some_and(|draft| draft.rows)
            && rows::columns(function, self.words.database).is_some()
        {
            return self.free_rows(findings, function, &shape);
        }
        match &function.returns {
            FunctionResult::Void if !self.query && shape.name == "Boolean" && !shape.list => {
                Some((FunctionReturn::Void, None))
            }
            FunctionResult::Value { sql_type, set } if !is_object => {
                self.value(findings, function, &shape, sql_type, *set)
            }
            FunctionResult::Row { relation, set } => self.rows(findings, function, &shape, relation, *set),
            other => {
                findings.add(place, self.refused(function, &shape, other));
                None
            }
        }
    }

    fn value(
        &self,
        findings: &mut Findings,
        function: &Function,
        shape: &Shape<'_>,
        sql_type: &TypeRef,
        set: bool,
    ) -> Option<(FunctionReturn, Option<Element>)> {
        let place = shape.name.location();
        let source = format!("what {} returns", function.name);
        let side = Side { owner: &self.owner, source: &source, sql_type, input: false };
        let mut single = *shape;
        if set {
            if !shape.list || sql_type.array {
                findings.add(place, self.refused(function, shape, &function.returns));
                return None;
            }
            single.list = false;
            single.non_null = shape.item_non_null;
            single.item_non_null = false;
        }
        let (value, element) = value_type(findings, self.words, &single, &side)?;
        let trusted = self.field.applied.get("neverNull").and_then(|usage| usage.place);
        let non_null = non_null(findings, &single, &side, Nullability::Nullable, trusted, place);
        let returns = FunctionReturn::Value { value, set, non_null };
        Some((returns, Some(element)))
    }

    /// Rows that belong to no relation.
    fn free_rows(
        &self,
        findings: &mut Findings,
        function: &'a Function,
        shape: &Shape<'_>,
    ) -> Option<(FunctionReturn, Option<Element>)> {
        let relation = self.drafts.get(shape.name)?.relation?;
        let columns = rows::columns(function, self.words.database)?;
        if !rows::fits(relation, columns) {
            let message =
                format!("{} is {}, but {} returns other columns", self.owner, shape.name, function.name);
            let error = Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message)
                .why(format!("{} has those of {}", shape.name, relation.name))
                .hint("define another type for it");
            findings.add(shape.name.location(), error);
            return None;
        }
        let set = match &function.returns {
            FunctionResult::Table { set, .. } | FunctionResult::Value { set, .. } => *set,
            _ => false,
        };
        self.rows(findings, function, shape, &relation.name, set)
    }

    fn rows(
        &self,
        findings: &mut Findings,
        function: &Function,
        shape: &Shape<'_>,
        relation: &QualifiedName,
        set: bool,
    ) -> Option<(FunctionReturn, Option<Element>)> {
        let place = shape.name.location();
        let target = self.drafts.get(shape.name);
        let bound = match target {
            // Why a type has no relation was told at the type.
            Some(target) => target.relation?.name == *relation,
            None => false,
        };
        if !bound || shape.list != set {
            findings.add(place, self.refused(function, shape, &function.returns));
            return None;
        }
        if target.is_some_and(|target| target.restricted) {
            let message = format!("{} returns rows of every type in {relation}", function.name);
            let error = Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
                .why(format!("{} is told from others by a discriminator", shape.name))
                .hint("return another relation, or ask for the rows without the function");
            findings.add(place, error);
            return None;
        }
        let trusted = self.field.applied.get("neverNull").and_then(|usage| usage.place);
        let source = format!("what {} returns", function.name);
        let sql_type = TypeRef { name: relation.clone(), array: false };
        let side = Side { owner: &self.owner, source: &source, sql_type: &sql_type, input: false };
        // A set is never null, nor are its rows.
        let nullability = if set { Nullability::NotNull } else { Nullability::Nullable };
        let mut single = *shape;
        single.item_non_null = false;
        let non_null = non_null(findings, &single, &side, nullability, trusted, place);
        let returns = FunctionReturn::Object { object: shape.name.to_string(), set, non_null };
        Some((returns, None))
    }

    fn refused(&self, function: &Function, shape: &Shape<'_>, result: &FunctionResult) -> Diagnostic {
        let returned = described(result);
        let message =
            format!("{} is {}, but {} returns {returned}", self.owner, shape.nullable(), function.name);
        let mismatch = Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message.clone());
        let unsupported = Diagnostic::error(&errors::SDL_UNSUPPORTED, message);
        match result {
            FunctionResult::Void if self.query => {
                mismatch.why("a query must return something").hint("move the field to Mutation")
            }
            FunctionResult::Void => mismatch.hint("write Boolean: true when the call succeeded"),
            FunctionResult::Row { relation, set } => {
                let of_relation = |draft: &&crate::draft::Draft<'_, '_>| {
                    draft.relation.is_some_and(|found| found.name == *relation)
                };
                let name = self.drafts.list.iter().find(of_relation).map(|draft| draft.object.name);
                match (name, set) {
                    (Some(name), true) => mismatch.hint(format!("write [{name}!]!")),
                    (Some(name), false) => mismatch.hint(format!("write {name}")),
                    (None, _) => {
                        mismatch.hint(format!("define a type with @relation(name: \"{}\")", relation.name))
                    }
                }
            }
            FunctionResult::Table { .. } => unsupported
                .why("the columns of RETURNS TABLE and of OUT parameters belong to no relation")
                .hint("return a type without @relation that has fields for them, or rows of a table or view"),
            FunctionResult::Value { set: true, .. } => mismatch.hint("write a list of scalars"),
            FunctionResult::Value { .. } => mismatch.hint("write a scalar, an enum or JSON"),
            FunctionResult::Other => unsupported,
        }
    }
}

/// Arguments with the parameters that they are for.
type Given<'a> = Vec<(FunctionArgument, &'a Parameter, Element)>;

fn named<'a>(parameters: &'a [Parameter], argument: &str, renamed: Option<&str>) -> Option<&'a Parameter> {
    let find = |name: &str| parameters.iter().find(|parameter| parameter.name == name);
    match renamed {
        Some(name) => find(name),
        None => find(&snake_case(argument)).or_else(|| find(argument)),
    }
}

/// Returns true when a default is a value of a type: section 3.5 of the specification, by kind.
pub(crate) fn fits(words: &Vocabulary<'_>, value: &Value, ty: &Type) -> bool {
    if ty.is_list() {
        return match value {
            Value::Null => !ty.is_non_null(),
            Value::List(items) => items.iter().all(|item| fits(words, item, ty.item_type())),
            single => fits(words, single, ty.item_type()),
        };
    }
    let name = ty.inner_named_type().as_str();
    match (name, value) {
        (_, Value::Null) => !ty.is_non_null(),
        (_, Value::Variable(_)) => false,
        ("JSON", _) => true,
        (name, value) if words.inputs.get(name).is_some() => {
            words.inputs.get(name).is_some_and(|input| input.accepts(words, value))
        }
        ("Int", Value::Int(number)) => number.try_to_i32().is_ok(),
        ("Float", Value::Int(_) | Value::Float(_)) => true,
        ("Boolean", Value::Boolean(_)) => true,
        ("ID" | "BigInt" | "Decimal", Value::Int(_)) | ("Decimal", Value::Float(_)) => true,
        ("Int" | "Float" | "Boolean", _) => false,
        (name, Value::Enum(value)) => {
            let bound = words.enums.get(name).and_then(|bound| bound.binding.as_ref());
            bound.is_some_and(|binding| binding.labels.contains_key(value.as_str()))
        }
        (name, Value::String(_)) => !words.enums.contains_key(name),
        _ => false,
    }
}

fn unknown_argument(function: &Function, argument: &str, renamed: Option<&str>) -> Diagnostic {
    let snake = snake_case(argument);
    let wanted = renamed.unwrap_or(&snake);
    let message = format!("{} has no parameter \"{wanted}\"", function.name);
    let known = function.parameters.iter().map(|parameter| parameter.name.as_str());
    let error = Diagnostic::error(&errors::SDL_ARGUMENT, message);
    // Parameters are often called p_name or _name; that is near enough to be meant.
    let prefixed = known.clone().find(|name| name.trim_start_matches("p_").trim_start_matches('_') == wanted);
    match prefixed.or_else(|| fraiseql_model::names::nearest(wanted, known)) {
        Some(near) => {
            error.hint(format!("did you mean \"{near}\"? {argument}: ... @parameter(name: \"{near}\")"))
        }
        None => error.hint(format!("it is {}", shown(function))),
    }
}

/// Returns a function as a person writes it: `public.top_tracks(n int4)`.
fn shown(function: &Function) -> String {
    let parameters = function.parameters.iter().map(|parameter| {
        let text = format!("{} {}", parameter.name, spelled(&parameter.sql_type));
        text.trim().to_owned()
    });
    format!("{}({})", function.name, parameters.collect::<Vec<_>>().join(", "))
}

fn described(result: &FunctionResult) -> String {
    let setof = |set: bool| if set { "SETOF " } else { "" };
    match result {
        FunctionResult::Void => "void".to_owned(),
        FunctionResult::Value { sql_type, set } => format!("{}{}", setof(*set), spelled(sql_type)),
        FunctionResult::Row { relation, set } => format!("{}{relation}", setof(*set)),
        FunctionResult::Table { .. } => "a table of its own".to_owned(),
        FunctionResult::Other => "a type that has no place in GraphQL".to_owned(),
    }
}
