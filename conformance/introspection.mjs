// Writes what graphql-js answers to questions about the corpus's schemas.

import { readFileSync, readdirSync } from 'node:fs';
import { buildSchema, getIntrospectionQuery, graphqlSync } from 'graphql';
import { settle } from './settle.mjs';

const all = { specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true, inputValueDeprecation: true, oneOf: true };
const shared = [getIntrospectionQuery(all), getIntrospectionQuery()];
const DEPRECATED = '{ name isDeprecated deprecationReason }';
const own = {
  deprecated: [
    `{ __type(name: "Color") { enumValues ${DEPRECATED} } }`,
    `{ __type(name: "Color") { enumValues(includeDeprecated: false) ${DEPRECATED} } }`,
    `{ __type(name: "Color") { enumValues(includeDeprecated: true) ${DEPRECATED} } }`,
    `{ __type(name: "In") { inputFields ${DEPRECATED} all: inputFields(includeDeprecated: true) ${DEPRECATED} } }`,
    `{ __type(name: "Query") { fields { name args ${DEPRECATED} all: args(includeDeprecated: true) ${DEPRECATED} } } }`,
    `{ __type(name: "Query") { fields(includeDeprecated: true) ${DEPRECATED} } }`,
    `query ($d: Boolean = true) { __type(name: "Color") { enumValues(includeDeprecated: $d) { name } } }`,
    `{ __schema { directives { name args { name } all: args(includeDeprecated: true) { name defaultValue } } } }`,
    `{ __type(name: "Url") { kind specifiedByURL isOneOf ofType { name } fields { name } } }`,
    `{ __type(name: "Plain") { specifiedByURL } a: __type(name: "Nope") { name } b: __type(name: "Float") { name } }`,
  ],
  oneof: [
    `{ a: __type(name: "UserBy") { isOneOf } b: __type(name: "NameInput") { isOneOf } c: __type(name: "User") { isOneOf } }`,
    `{ __type(name: "Float") { name } id: __type(name: "ID") { name } }`,
  ],
  zoo: [
    `{ __type(name: "Animal") { ...T } } fragment T on __Type { kind name possibleTypes { name } interfaces { name } __typename }`,
    `{ __type(name: "CatOrDog") { kind possibleTypes { name kind } interfaces { name } } }`,
    `query ($n: String! = "Cat") { a: __type(name: $n) { ... on __Type { b: name fields { n: name } } } }`,
    `query ($y: Boolean = false) { __type(name: "Cat") { name @include(if: $y) kind @skip(if: $y) } }`,
    `{ __type(name: "Query") { fields { type { kind name ofType { kind name ofType { kind ofType { name } } } } } } }`,
    `{ __typename __schema { __typename queryType { __typename name } } }`,
    `{ a: __schema { queryType { name } } a: __schema { mutationType { name } } b: __schema { description } }`,
  ],
};

const answers = [];
for (const file of readdirSync('schemas').sort()) {
  const name = file.replace('.graphql', '');
  const sdl = readFileSync(`schemas/${file}`, 'utf8');
  const schema = buildSchema(sdl);
  for (const query of [...shared, ...(own[name] ?? [])]) {
    const { data, errors } = graphqlSync({ schema, source: query });
    if (errors) throw errors[0];
    // The types of introspection itself are the same for every schema, and worded by every server.
    const types = data.__schema?.types;
    if (types) data.__schema.types = types.filter((type) => !type.name.startsWith('__'));
    // A draft after the edition of September 2025 lets directives stand on directives.
    for (const directive of data.__schema?.directives ?? []) {
      directive.locations = directive.locations?.filter((place) => place !== 'DIRECTIVE_DEFINITION');
    }
    answers.push(`  ${JSON.stringify({ schema: name, query, data })}`);
  }
}
console.error(`introspection: ${answers.length} answers`);
settle('../crates/fraiseql-engine/tests/it/conformance/introspection.json', `[\n${answers.join(',\n')}\n]\n`);
