//! Directives: section 5.7. Known, in the right place, and only once unless repeatable.

use std::collections::BTreeMap;

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, DirectiveList, DirectiveLocation};

use super::{Checks, Found};

impl<'d> Checks<'d> {
    /// Checks the directives of one place, with their arguments.
    pub(super) fn directives(
        &mut self,
        directives: &'d DirectiveList,
        place: DirectiveLocation,
        found: &mut Found<'d>,
    ) {
        let mut seen: BTreeMap<&str, &'d Node<Directive>> = BTreeMap::new();
        for directive in directives.iter() {
            let name = &directive.name;
            let definition = self.schema.graphql.directive_definitions.get(name);
            match definition {
                None => self.error([directive.location()], format!("there is no directive \"@{name}\"")),
                Some(definition) if !definition.locations.contains(&place) => {
                    let message = format!("the directive \"@{name}\" may not stand on {}", place.name());
                    self.error([directive.location()], message);
                }
                Some(_) => {}
            }
            if definition.is_some_and(|definition| !definition.repeatable) {
                match seen.get(name.as_str()) {
                    Some(first) => {
                        let message = format!("the directive \"@{name}\" may stand here only once");
                        self.error([first.location(), directive.location()], message);
                    }
                    None => {
                        seen.insert(name, directive);
                    }
                }
            }
            let arguments = definition.map(|definition| definition.arguments.as_slice());
            let owner = || format!("the directive \"@{name}\"");
            self.arguments(&directive.arguments, arguments, directive.location(), owner, found);
        }
    }
}
