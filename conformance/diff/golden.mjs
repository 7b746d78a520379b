// Writes golden.json: what graphql-js says of each pair of corpus.txt. Run with `npm ci && npm run golden`.
import { readFileSync, writeFileSync } from 'node:fs';
import { buildSchema, findBreakingChanges, findDangerousChanges, findSchemaChanges } from 'graphql';

// Every schema has this, so that a case says only what it is about; all standard scalars are used,
// because graphql-js calls one that nobody uses any more a removed type.
const BASE = 'type Query { int: Int float: Float string: String boolean: Boolean id: ID }\n';

// The place of a change, read from the words in which graphql-js tells it.
const PLACES = {
  TYPE_REMOVED_FROM_UNION: /^(?<what>\S+) was removed from union type (?<path>\S+)\.$/,
  TYPE_ADDED_TO_UNION: /^(?<what>\S+) was added to union type (?<path>\S+)\.$/,
  IMPLEMENTED_INTERFACE_REMOVED: /^(?<path>\S+) no longer implements interface (?<what>\S+)\.$/,
  IMPLEMENTED_INTERFACE_ADDED: /^(?<what>\S+) added to interfaces implemented by (?<path>\S+)\.$/,
  DIRECTIVE_LOCATION_REMOVED: /^(?<what>\S+) was removed from (?<path>@\S+)\.$/,
  DIRECTIVE_LOCATION_ADDED: /^(?<what>\S+) was added to (?<path>@\S+)\.$/,
  DIRECTIVE_REPEATABLE_REMOVED: /from (?<path>@\S+)\.$/,
  DIRECTIVE_REPEATABLE_ADDED: /to (?<path>@\S+)\.$/,
  DESCRIPTION_CHANGED: /^Description of (?:enum value |field |input-field |argument )?(?<path>\S+) has changed/,
};
const PLACE =
  /^(?:Field |Argument |Directive |Enum value |A required (?:field|argument) |An optional (?:field|argument) )?(?<path>\S+?)(?: |\.$)/;

function told(change, severity) {
  const { path, what } = change.description.match(PLACES[change.type] ?? PLACE).groups;
  return [severity, change.type, path, what].filter(Boolean).join(' ');
}

function changes(old, next) {
  const schemas = [old, next].map((sdl) => buildSchema(BASE + sdl));
  const [breaking, dangerous, all] = [findBreakingChanges, findDangerousChanges, findSchemaChanges].map((find) =>
    find(...schemas).map((change) => ({ ...change, key: JSON.stringify(change) })),
  );
  const has = (list, change) => list.some((one) => one.key === change.key);
  return all
    .map((change) => {
      const severity = has(breaking, change) ? 'breaking' : has(dangerous, change) ? 'dangerous' : 'safe';
      return told(change, severity);
    })
    .sort();
}

const cases = readFileSync('corpus.txt', 'utf8')
  .split(/^== /m)
  .slice(1)
  .map((text) => {
    const [, name, old, next] = text.match(/^(.*)\n([^]*?)\n?--\n([^]*)$/);
    return { name, old: BASE + old, new: BASE + next, changes: changes(old, next) };
  });
writeFileSync('golden.json', JSON.stringify(cases, null, 1) + '\n');
console.log(`${cases.length} pairs, ${cases.reduce((sum, one) => sum + one.changes.length, 0)} changes`);
