//! Rules on the definitions of a document: section 5.1 and 5.2.1 to 5.2.3, and names of fragments (5.5.1.1).

use std::collections::BTreeMap;

use apollo_compiler::Name;
use apollo_compiler::ast::Definition;

use super::Checks;

impl<'d> Checks<'d> {
    /// Checks what may stand at the top of a document, and under which names.
    pub(super) fn definitions(&mut self) {
        let mut operations: BTreeMap<&str, &'d Name> = BTreeMap::new();
        let mut fragments: BTreeMap<&str, &'d Name> = BTreeMap::new();
        let document = self.document;
        let count = document.definitions.iter().filter_map(Definition::as_operation_definition).count();
        for definition in &document.definitions {
            match definition {
                Definition::OperationDefinition(operation) => {
                    match &operation.name {
                        None if count > 1 => {
                            let message = "an operation without a name must be the only one in the document";
                            self.error([operation.location()], message.to_owned());
                        }
                        None => {}
                        Some(name) => self.unique("operation", &mut operations, name),
                    }
                    let kind = operation.operation_type;
                    if self.schema.graphql.root_operation(kind).is_none() {
                        self.error([operation.location()], format!("the schema has no {}s", kind.name()));
                    }
                }
                Definition::FragmentDefinition(fragment) => {
                    self.unique("fragment", &mut fragments, &fragment.name);
                }
                other => {
                    let message = "a request may hold operations and fragments, and no types".to_owned();
                    self.error([other.location()], message);
                }
            }
        }
    }

    fn unique(&mut self, what: &str, known: &mut BTreeMap<&'d str, &'d Name>, name: &'d Name) {
        match known.get(name.as_str()) {
            Some(first) => {
                let message = format!("there are several {what}s named \"{name}\"");
                self.error([first.location(), name.location()], message);
            }
            None => {
                known.insert(name, name);
            }
        }
    }
}
