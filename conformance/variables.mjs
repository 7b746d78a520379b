// Writes what graphql-js makes of values that clients send for variables.

import { readFileSync } from 'node:fs';
import { buildSchema, getVariableValues, parse } from 'graphql';
import { settle } from './settle.mjs';

const schema = buildSchema(readFileSync('schemas/values.graphql', 'utf8'));
const SCALARS = {
  Int: ['0', '1', '-1', '1.0', '-0', '1e3', '1.5', '2147483647', '2147483648', '-2147483648', '-2147483649', '"1"', 'true', 'null', '[]', '[1]', '{}', '1e100', '""', '123456789012345678901'],
  Float: ['0', '1', '1.5', '-1.5e-10', '1e308', '1e400', '"1.5"', 'true', 'null', '[1.5]', '{}', '0.1', '-0', '9007199254740993'],
  String: ['""', '"a"', '"é🎸"', '"\\u0000"', '1', '1.5', 'true', 'null', '["a"]', '{}'],
  Boolean: ['true', 'false', '0', '1', '"true"', '""', 'null', '[true]', '{}'],
  ID: ['""', '"a"', '1', '-1', '0', '1.5', '1.0', 'true', 'null', '["a"]', '{}', '9007199254740991'],
  Color: ['"RED"', '"red"', '"PINK"', '1', 'true', 'null', '["RED"]', '{}', '""', '"__proto__"'],
  JSON: ['1', '"a"', 'true', 'null', '[1,{"a":null}]', '{"a":[1,"b"]}'],
};
const INPUTS = {
  '[Int]': ['1', 'null', '[]', '[1,2]', '[1,null]', '["1"]', '[[1]]', '{}', '"1"', '[1.5]'],
  '[Int!]': ['1', 'null', '[]', '[null]', '[1,2]', '[1,true]'],
  '[Int!]!': ['1', 'null', '[]', '[null]'],
  '[[Int!]]': ['1', '[1]', '[[1]]', '[[1],null]', '[[null]]', '[1,[2]]', '[[[1]]]', 'null'],
  '[Color!]': ['"RED"', '["RED","BLUE"]', '["RED",null]', '["PINK"]', '[]'],
  Point: ['{"x":1}', '{"x":1,"y":2}', '{"y":2}', '{}', '{"x":null}', '{"x":1,"y":null}', '{"x":1,"z":2}', '{"x":"1"}', '{"x":1,"label":null}', '{"x":1,"label":"a"}', '[]', '[{"x":1}]', '"x"', '1', 'null', '{"x":1,"constructor":1}'],
  'Point!': ['{"x":1}', 'null', '{}'],
  '[Point!]': ['{"x":1}', '[{"x":1}]', '[{"x":1},null]', '[{"x":1},{"y":1}]', '[]', 'null'],
  Nested: ['{"point":{"x":1}}', '{"point":null}', '{}', '{"point":{"x":1},"inner":{"point":{"x":2}}}', '{"point":{"x":1},"inner":{}}', '{"point":{"x":1},"list":{"point":{"x":1}}}', '{"point":{"x":1},"list":[null]}', '{"point":{"x":1},"color":null,"flag":true}', '{"point":{"x":1},"color":"NO"}', '{"point":{"x":1},"flag":"true"}'],
  Pick: ['{"a":1}', '{"b":"x"}', '{"c":1}', '{"c":[1,2]}', '{"c":[null]}', '{"d":{"x":1}}', '{"d":{}}', '{"e":{"a":1}}', '{"e":{"a":1,"b":"x"}}', '{}', '{"a":null}', '{"a":1,"b":null}', '{"a":1,"b":"x"}', '{"a":1,"nope":1}', '{"nope":1}', '{"a":"1"}', 'null', '[]', '"a"', '{"e":{}}', '{"e":null}'],
  'Pick!': ['{"a":1}', 'null', '{}'],
  '[Pick!]': ['{"a":1}', '[{"a":1},{"b":"x"}]', '[{"a":1},{}]', '[null]'],
};
const DEFAULTS = [
  ['Int = 5', ['undefined', 'null', '1', '"1"']],
  ['Int! = 5', ['undefined', 'null', '1']],
  ['Int = null', ['undefined', 'null']],
  ['Float = 5', ['undefined']],
  ['ID = 5', ['undefined']],
  ['String = "a\\n\\u00e9"', ['undefined']],
  ['String = """\n  block\n    text\n"""', ['undefined']],
  ['Color = BLUE', ['undefined', 'null', '"RED"']],
  ['[Int] = 5', ['undefined']],
  ['[[Int!]] = 5', ['undefined']],
  ['[Int!] = [1, 2]', ['undefined', '[]']],
  ['Point = {x: 1}', ['undefined', 'null', '{"x":2}']],
  ['Nested = {point: {x: 1, label: "l"}, list: {point: {x: 2}}}', ['undefined']],
  ['Pick = {c: 1}', ['undefined', '{"a":1}']],
  ['JSON = {a: [1, b, "c", 1.5, null, true]}', ['undefined']],
];

const cases = [];
function add(type, sent) {
  const text = `query($v:${type}){__typename @include(if:true) x:__typename}`;
  const [operation] = parse(text).definitions;
  const raw = sent === 'undefined' ? {} : { v: JSON.parse(sent) };
  const { variableValues, errors } = getVariableValues(schema, operation.variableDefinitions, raw);
  const coerced = variableValues?.coerced ?? {};
  cases.push({ type, sent: sent === 'undefined' ? undefined : sent, ...(errors ? { fails: errors.length } : { value: coerced }) });
}
for (const [type, values] of Object.entries({ ...SCALARS, ...INPUTS })) {
  for (const value of values) add(type, value);
  add(type, 'undefined');
}
for (const type of Object.keys(SCALARS)) for (const value of ['null', 'undefined']) add(`${type}!`, value);
for (const [type, values] of DEFAULTS) for (const value of values) add(type, value);
console.error(`variables: ${cases.length} values, ${cases.filter((one) => one.fails).length} refused`);
settle('../crates/fraiseql-engine/tests/it/conformance/variables.json', `[\n${cases.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]\n`);
