// Writes the corpus: documents with graphql-js's verdict on each. The engine's tests read it without node.
//
//   node corpus.mjs           writes anew
//   node corpus.mjs --check   fails when what is committed differs

import { readFileSync, readdirSync } from 'node:fs';
import { buildSchema, parse, specifiedRules, validate, version } from 'graphql';
import { dice, mutations } from './mutations.mjs';
import { settle } from './settle.mjs';

/// Rules of graphql-js that the edition of September 2025 does not have.
const BEYOND = /^(Defer|Stream|MaxIntrospectionDepth)/;
const rules = specifiedRules.filter((rule) => !BEYOND.test(rule.name));
const schemas = {};
for (const file of readdirSync('schemas').sort()) {
  schemas[file.replace('.graphql', '')] = readFileSync(`schemas/${file}`, 'utf8');
}
const built = Object.fromEntries(Object.entries(schemas).map(([name, sdl]) => [name, buildSchema(sdl)]));

const cases = [];
const seen = new Set();
function add(schema, text) {
  if (seen.has(`${schema} ${text}`)) return null;
  seen.add(`${schema} ${text}`);
  const verdict = judge(schema, text);
  cases.push({ schema, text, ...verdict });
  return verdict;
}

const spots = (error) => (error.locations ?? []).map(({ line, column }) => `${line}:${column}`);

/// Returns nothing for a valid document, the place of a syntax error, or each rule that speaks with its places.
function judge(schema, text) {
  let document;
  try {
    document = parse(text, { maxTokens: 15000 });
  } catch (error) {
    return { syntax: spots(error)[0] };
  }
  const broken = {};
  for (const rule of rules) {
    const errors = validate(built[schema], document, [rule], { maxErrors: 1000 });
    if (errors.length > 0) broken[rule.name.replace(/Rule$/, '')] = errors.map(spots);
  }
  return Object.keys(broken).length > 0 ? { rules: broken } : {};
}

const valid = [];
for (const { schema, text } of readDocuments()) {
  const verdict = add(schema, text);
  if (verdict && Object.keys(verdict).length === 0) valid.push({ schema, text });
}
const written = cases.length;
const random = dice(20250901);
for (const { schema, text } of valid) {
  for (const mutated of mutations(built[schema], text, random)) {
    if (bare(mutated) !== bare(text) && !/[A-Za-z0-9)] \{ *\}/.test(mutated)) add(schema, mutated);
  }
}

const lines = cases.map((one) => `    ${JSON.stringify(one)}`).join(',\n');
const sdl = Object.entries(schemas).map(([name, text]) => `    ${JSON.stringify(name)}: ${JSON.stringify(text)}`);
const text = `{\n  "graphql": "${version}",\n  "schemas": {\n${sdl.join(',\n')}\n  },\n  "cases": [\n${lines}\n  ]\n}\n`;
const count = (key) => cases.filter((one) => one[key]).length;
console.error(
  `corpus: ${cases.length} documents over ${Object.keys(schemas).length} schemas (${written} written by hand): ` +
    `${cases.length - count('syntax') - count('rules')} valid, ${count('rules')} invalid, ${count('syntax')} not GraphQL`,
);
settle('../crates/fraiseql-engine/tests/it/conformance/documents.json', text);

/// Without what separates tokens: a mutation may change nothing, or leave a selection set empty.
function bare(text) {
  return text.replace(/[\s,]/g, '');
}

function readDocuments() {
  const documents = [];
  for (const file of readdirSync('documents').sort()) {
    let schema;
    let block = null;
    for (const line of readFileSync(`documents/${file}`, 'utf8').replace(/\n$/, '').split('\n')) {
      if (block) {
        if (line === '>>>') {
          documents.push({ schema, text: block.join('\n') });
          block = null;
        } else block.push(line);
      } else if (line === '<<<') block = [];
      else if (line.startsWith('=== ')) schema = line.slice(4);
      else if (!line.startsWith('#')) documents.push({ schema, text: line });
    }
  }
  return documents;
}
