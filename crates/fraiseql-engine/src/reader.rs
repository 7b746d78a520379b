//! Reads the SDL of an artifact straight into a schema, without a syntax tree in between.
//!
//! The compiler wrote and validated that SDL, so nothing is validated again. What is not in the plain
//! form that it writes, an extension for example, is left to the parser of `spec`.
//!
//! A schema of 500 tables has 13,000 types and 3.5 MB of SDL; its syntax tree took half a second and
//! most of the memory. Equal names and types are kept once.

use apollo_compiler::ast::{self, Directive, FieldDefinition, InputValueDefinition, Type, Value};
use apollo_compiler::collections::{IndexMap, IndexSet};
use apollo_compiler::schema::{
    Component, ComponentName, ComponentOrigin, DirectiveList, EnumType, ExtendedType, InputObjectType,
    InterfaceType, ObjectType, ScalarType, UnionType,
};
use apollo_compiler::{Name, Node, Schema as GraphqlSchema, name};

/// How deep values and types may nest.
const DEPTH_MAX: usize = 32;

/// Adds the definitions of `sdl` to a schema; `None` when they are not in the plain form.
pub(crate) fn read(sdl: &str, mut schema: GraphqlSchema) -> Option<GraphqlSchema> {
    let mut reader = Reader {
        text: sdl,
        at: 0,
        names: IndexMap::default(),
        types: IndexMap::default(),
        // What the types of introspection refer to.
        references: IndexSet::from_iter([name!("String"), name!("Boolean")]),
    };
    let mut has_roots = false;
    while !reader.is_at_end() {
        let description = reader.description()?;
        let keyword = reader.word()?;
        match keyword {
            "schema" => {
                has_roots = true;
                reader.roots(description, &mut schema)?;
            }
            "directive" => {
                let definition = reader.directive_definition(description)?;
                let name = definition.name.clone();
                if schema.directive_definitions.insert(name, Node::new(definition)).is_some() {
                    return None;
                }
            }
            _ => {
                let definition = reader.definition(keyword, description)?;
                if schema.types.insert(definition.name().clone(), definition).is_some() {
                    return None;
                }
            }
        }
    }
    // A built-in scalar that nothing refers to is no part of a schema: section 3.5.
    schema.types.retain(|name, found| {
        !(found.is_built_in() && found.is_scalar()) || reader.references.contains(name)
    });
    if !has_roots {
        let root = |name: &str| {
            let Some(ExtendedType::Object(object)) = schema.types.get(name) else { return None };
            Some(ComponentName { origin: ComponentOrigin::Definition, name: object.name.clone() })
        };
        let roots = (root("Query"), root("Mutation"), root("Subscription"));
        let definition = schema.schema_definition.make_mut();
        (definition.query, definition.mutation, definition.subscription) = roots;
    }
    Some(schema)
}

/// Reads as far as it understands: `None` anywhere leaves the whole to the parser.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    names: IndexMap<&'a str, Name>,
    types: IndexMap<&'a str, Node<Type>>,
    references: IndexSet<Name>,
}

type Description = Option<Node<str>>;

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Skips what means nothing: white space, commas, comments.
    fn skip(&mut self) {
        loop {
            match self.rest().first() {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => self.at += 1,
                Some(b'#') => {
                    let line = self.rest().iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    self.at += line.unwrap_or(self.rest().len());
                }
                _ => return,
            }
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.skip();
        self.rest().is_empty()
    }

    /// Takes a punctuator if it is next.
    fn takes(&mut self, punctuator: u8) -> bool {
        self.skip();
        let is_next = self.rest().first() == Some(&punctuator);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, punctuator: u8) -> Option<()> {
        self.takes(punctuator).then_some(())
    }

    fn word(&mut self) -> Option<&'a str> {
        self.skip();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = self.rest().iter().position(|byte| !is_part(byte)).unwrap_or(self.rest().len());
        let starts = self.rest().first().is_some_and(|byte| !byte.is_ascii_digit());
        let word = &self.text[self.at..self.at + length];
        self.at += length;
        (starts && length > 0).then_some(word)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let start = self.at;
        let is_next = self.word() == Some(word);
        if !is_next {
            self.at = start;
        }
        is_next
    }

    fn name(&mut self) -> Option<Name> {
        let word = self.word()?;
        self.name_of(word)
    }

    /// Returns a name that is shared with all places where it is written.
    fn name_of(&mut self, word: &'a str) -> Option<Name> {
        if let Some(name) = self.names.get(word) {
            return Some(name.clone());
        }
        let Ok(name) = Name::new(word) else { return None };
        self.names.insert(word, name.clone());
        Some(name)
    }

    fn component_name(&mut self) -> Option<ComponentName> {
        Some(ComponentName { origin: ComponentOrigin::Definition, name: self.name()? })
    }

    /// Returns a description, or that there is none; `None` when it cannot be read.
    fn description(&mut self) -> Option<Description> {
        self.skip();
        if self.rest().first() != Some(&b'"') {
            return Some(None);
        }
        Some(Some(Node::new_str(&self.string()?)))
    }

    /// Reads a string or a block string: sections 2.9.4 of the specification.
    fn string(&mut self) -> Option<String> {
        self.expect(b'"')?;
        let text = &self.text[self.at..];
        if let Some(block) = text.strip_prefix("\"\"") {
            let end = block_end(block)?;
            self.at += 2 + end + 3;
            return Some(dedent(&block[..end].replace("\\\"\"\"", "\"\"\"")));
        }
        let end = text.find(['"', '\\', '\n', '\r'])?;
        // Escapes are rare: the parser knows them.
        if !text[end..].starts_with('"') {
            return None;
        }
        self.at += end + 1;
        Some(text[..end].to_owned())
    }

    fn type_reference(&mut self, depth: usize) -> Option<Type> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.takes(b'[') {
            let inner = Box::new(self.type_reference(depth + 1)?);
            self.expect(b']')?;
            return Some(if self.takes(b'!') { Type::NonNullList(inner) } else { Type::List(inner) });
        }
        let name = self.name()?;
        self.references.insert(name.clone());
        Some(if self.takes(b'!') { Type::NonNullNamed(name) } else { Type::Named(name) })
    }

    /// Returns a type that is shared with all places where it is written the same.
    fn shared_type(&mut self) -> Option<Node<Type>> {
        self.skip();
        let start = self.at;
        let found = self.type_reference(0)?;
        let written = &self.text[start..self.at];
        Some(self.types.entry(written).or_insert_with(|| Node::new(found)).clone())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip();
        if depth > DEPTH_MAX {
            return None;
        }
        match *self.rest().first()? {
            b'"' => Some(Value::String(self.string()?)),
            b'[' => {
                self.at += 1;
                let mut values = Vec::new();
                while !self.takes(b']') {
                    values.push(Node::new(self.value(depth + 1)?));
                }
                Some(Value::List(values))
            }
            b'{' => {
                self.at += 1;
                let mut fields = Vec::new();
                while !self.takes(b'}') {
                    let name = self.name()?;
                    self.expect(b':')?;
                    fields.push((name, Node::new(self.value(depth + 1)?)));
                }
                Some(Value::Object(fields))
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let length = self.rest().iter().position(|byte| !is_part(byte))?;
                let number = &self.text[self.at..self.at + length];
                self.at += length;
                Some(if number.contains(['.', 'e', 'E']) {
                    Value::Float(ast::FloatValue::new_parsed(number))
                } else {
                    Value::Int(ast::IntValue::new_parsed(number))
                })
            }
            _ => Some(match self.word()? {
                "null" => Value::Null,
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                word => Value::Enum(self.name_of(word)?),
            }),
        }
    }

    fn directives(&mut self) -> Option<Vec<Directive>> {
        let mut directives = Vec::new();
        while self.takes(b'@') {
            let name = self.name()?;
            let mut arguments = Vec::new();
            if self.takes(b'(') {
                while !self.takes(b')') {
                    let name = self.name()?;
                    self.expect(b':')?;
                    let value = Node::new(self.value(0)?);
                    arguments.push(Node::new(ast::Argument { name, value }));
                }
            }
            directives.push(Directive { name, arguments });
        }
        Some(directives)
    }

    fn member_directives(&mut self) -> Option<ast::DirectiveList> {
        Some(ast::DirectiveList(self.directives()?.into_iter().map(Node::new).collect()))
    }

    fn type_directives(&mut self) -> Option<DirectiveList> {
        Some(DirectiveList(self.directives()?.into_iter().map(Component::new).collect()))
    }

    fn input_value(&mut self) -> Option<InputValueDefinition> {
        let description = self.description()?;
        let name = self.name()?;
        self.expect(b':')?;
        let ty = self.shared_type()?;
        let default_value = if self.takes(b'=') { Some(Node::new(self.value(0)?)) } else { None };
        let directives = self.member_directives()?;
        Some(InputValueDefinition { description, name, ty, default_value, directives })
    }

    fn arguments(&mut self) -> Option<Vec<Node<InputValueDefinition>>> {
        let mut arguments = Vec::new();
        if self.takes(b'(') {
            while !self.takes(b')') {
                arguments.push(Node::new(self.input_value()?));
            }
            arguments.shrink_to_fit();
        }
        Some(arguments)
    }

    fn fields(&mut self) -> Option<IndexMap<Name, Component<FieldDefinition>>> {
        let mut fields = IndexMap::default();
        self.expect(b'{')?;
        while !self.takes(b'}') {
            let description = self.description()?;
            let name = self.name()?;
            let arguments = self.arguments()?;
            self.expect(b':')?;
            let ty = self.type_reference(0)?;
            let directives = self.member_directives()?;
            let field = FieldDefinition { description, name: name.clone(), arguments, ty, directives };
            if fields.insert(name, Component::new(field)).is_some() {
                return None;
            }
        }
        fields.shrink_to_fit();
        Some(fields)
    }

    /// Reads `A & B`, with or without a sign before the first.
    fn names(&mut self, sign: u8) -> Option<IndexSet<ComponentName>> {
        self.takes(sign);
        let mut names = IndexSet::default();
        loop {
            names.insert(self.component_name()?);
            if !self.takes(sign) {
                return Some(names);
            }
        }
    }

    fn implements(&mut self) -> Option<IndexSet<ComponentName>> {
        if self.takes_word("implements") { self.names(b'&') } else { Some(IndexSet::default()) }
    }

    fn definition(&mut self, keyword: &str, description: Description) -> Option<ExtendedType> {
        let name = self.name()?;
        match keyword {
            "type" => {
                let implements_interfaces = self.implements()?;
                let directives = self.type_directives()?;
                let fields = self.fields()?;
                let object = ObjectType { description, name, implements_interfaces, directives, fields };
                Some(ExtendedType::Object(Node::new(object)))
            }
            "interface" => {
                let implements_interfaces = self.implements()?;
                let directives = self.type_directives()?;
                let fields = self.fields()?;
                let interface =
                    InterfaceType { description, name, implements_interfaces, directives, fields };
                Some(ExtendedType::Interface(Node::new(interface)))
            }
            "union" => {
                let directives = self.type_directives()?;
                self.expect(b'=')?;
                let members = self.names(b'|')?;
                let union = UnionType { description, name, directives, members };
                Some(ExtendedType::Union(Node::new(union)))
            }
            "scalar" => {
                let directives = self.type_directives()?;
                Some(ExtendedType::Scalar(Node::new(ScalarType { description, name, directives })))
            }
            "enum" => self.enumeration(description, name),
            "input" => {
                let directives = self.type_directives()?;
                let mut fields = IndexMap::default();
                self.expect(b'{')?;
                while !self.takes(b'}') {
                    let field = self.input_value()?;
                    if fields.insert(field.name.clone(), Component::new(field)).is_some() {
                        return None;
                    }
                }
                fields.shrink_to_fit();
                let input = InputObjectType { description, name, directives, fields };
                Some(ExtendedType::InputObject(Node::new(input)))
            }
            _ => None,
        }
    }

    fn enumeration(&mut self, description: Description, name: Name) -> Option<ExtendedType> {
        let directives = self.type_directives()?;
        let mut values = IndexMap::default();
        self.expect(b'{')?;
        while !self.takes(b'}') {
            let description = self.description()?;
            let value = self.name()?;
            let directives = self.member_directives()?;
            let definition = ast::EnumValueDefinition { description, value: value.clone(), directives };
            if values.insert(value, Component::new(definition)).is_some() {
                return None;
            }
        }
        values.shrink_to_fit();
        Some(ExtendedType::Enum(Node::new(EnumType { description, name, directives, values })))
    }

    fn directive_definition(&mut self, description: Description) -> Option<ast::DirectiveDefinition> {
        self.expect(b'@')?;
        let name = self.name()?;
        let arguments = self.arguments()?;
        let repeatable = self.takes_word("repeatable");
        if !self.takes_word("on") {
            return None;
        }
        self.takes(b'|');
        let mut locations = Vec::new();
        loop {
            locations.push(location(self.word()?)?);
            if !self.takes(b'|') {
                return Some(ast::DirectiveDefinition {
                    description,
                    name,
                    arguments,
                    repeatable,
                    locations,
                });
            }
        }
    }

    fn roots(&mut self, description: Description, schema: &mut GraphqlSchema) -> Option<()> {
        let directives = self.type_directives()?;
        let definition = schema.schema_definition.make_mut();
        (definition.description, definition.directives) = (description, directives);
        self.expect(b'{')?;
        while !self.takes(b'}') {
            let operation = self.word()?;
            self.expect(b':')?;
            let name = Some(self.component_name()?);
            match operation {
                "query" => definition.query = name,
                "mutation" => definition.mutation = name,
                "subscription" => definition.subscription = name,
                _ => return None,
            }
        }
        Some(())
    }
}

fn location(word: &str) -> Option<ast::DirectiveLocation> {
    use ast::DirectiveLocation as At;
    let all = [
        At::Query,
        At::Mutation,
        At::Subscription,
        At::Field,
        At::FragmentDefinition,
        At::FragmentSpread,
        At::InlineFragment,
        At::VariableDefinition,
        At::Schema,
        At::Scalar,
        At::Object,
        At::FieldDefinition,
        At::ArgumentDefinition,
        At::Interface,
        At::Union,
        At::Enum,
        At::EnumValue,
        At::InputObject,
        At::InputFieldDefinition,
    ];
    all.into_iter().find(|location| location.name() == word)
}

/// Returns where a block string ends: at the first three quotes without a backslash before them.
fn block_end(block: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let found = from + block[from..].find("\"\"\"")?;
        if !block[..found].ends_with('\\') {
            return Some(found);
        }
        from = found + 3;
    }
}

/// Removes the indentation that all lines but the first have in common, and blank lines at both
/// ends: `BlockStringValue` of section 2.9.4.
fn dedent(raw: &str) -> String {
    let normalized = raw.replace("\r\n", "\n").replace('\r', "\n");
    let blank = |line: &str| line.bytes().all(|byte| matches!(byte, b' ' | b'\t'));
    let indent = |line: &str| line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let lines: Vec<&str> = normalized.split('\n').collect();
    let common = lines.iter().skip(1).filter(|line| !blank(line)).map(|line| indent(line)).min().unwrap_or(0);
    let cut = lines.iter().enumerate().map(|(index, line)| match index {
        0 => *line,
        _ => line.get(common..).unwrap_or(""),
    });
    let cut: Vec<&str> = cut.collect();
    let first = cut.iter().position(|line| !blank(line)).unwrap_or(cut.len());
    let last = cut.iter().rposition(|line| !blank(line)).map_or(first, |last| last + 1);
    cut[first..last].join("\n")
}
