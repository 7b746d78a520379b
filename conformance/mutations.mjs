// Small changes to a valid document: most of them break one rule, some break nothing.

import { Kind, parse, print, visit } from 'graphql';

/// A generator of numbers below `n` that gives the same for the same seed.
export function dice(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * n);
  };
}

const VALUES = ['1', '-7', '2147483648', '1.5', '"s"', 'true', 'null', 'RED', '[]', '[1]', '{}', '{x:1}', '$v', '[null]'];
const NAMES = ['id', 'name', 'nope', '__typename', 'x', 'deep'];

/// Returns up to three texts, each one change away from `text`.
export function mutations(schema, text, random) {
  const types = Object.keys(schema.getTypeMap()).filter((name) => !name.startsWith('__'));
  const pick = (list) => list[random(list.length)];
  const document = parse(text);
  const found = [];
  for (let tries = 0; tries < 3; tries += 1) {
    const spots = [];
    visit(document, { enter: (node) => void spots.push(node) });
    const target = pick(spots);
    const changed = visit(document, { enter: (node) => (node === target ? change(node, pick, types) : undefined) });
    found.push(print(changed).replace(/\s+/g, ' '));
  }
  return found;
}

function named(node, value) {
  return { ...node, name: { kind: Kind.NAME, value } };
}

function change(node, pick, types) {
  const doubled = (list) => (list.length > 0 ? [...list, pick(list)] : list);
  switch (node.kind) {
    case Kind.FIELD:
      return pick([
        () => named(node, pick(NAMES)),
        () => ({ ...node, alias: { kind: Kind.NAME, value: pick(NAMES) } }),
        () => ({ ...node, arguments: [] }),
        () => ({ ...node, arguments: doubled(node.arguments ?? []) }),
        () => ({ ...node, selectionSet: undefined }),
      ])();
    case Kind.SELECTION_SET:
      return { ...node, selections: [...doubled(node.selections), named({ kind: Kind.FIELD }, pick(NAMES))] };
    case Kind.ARGUMENT:
      return pick([() => named(node, pick(NAMES)), () => ({ ...node, value: raw(pick(VALUES)) })])();
    case Kind.OBJECT_FIELD:
      return pick([() => named(node, pick(NAMES)), () => ({ ...node, value: raw(pick(VALUES)) })])();
    case Kind.OBJECT:
      return { ...node, fields: doubled(node.fields) };
    case Kind.VARIABLE_DEFINITION:
      return pick([
        () => ({ ...node, type: { kind: Kind.NAMED_TYPE, name: { kind: Kind.NAME, value: pick(types) } } }),
        () => ({ ...node, defaultValue: raw(pick(VALUES.filter((value) => value !== '$v'))) }),
        () => ({ ...node, defaultValue: undefined }),
      ])();
    case Kind.NON_NULL_TYPE:
      return node.type;
    case Kind.LIST_TYPE:
      return node.type.kind === Kind.NON_NULL_TYPE ? node.type.type : node.type;
    case Kind.NAMED_TYPE:
      return named(node, pick(types));
    case Kind.FRAGMENT_SPREAD:
      return named(node, pick(['F', 'Nope']));
    case Kind.DIRECTIVE:
      return pick([() => named(node, pick(['skip', 'nope'])), () => ({ ...node, arguments: [] })])();
    case Kind.OPERATION_DEFINITION:
      return { ...node, operation: pick(['query', 'mutation', 'subscription']) };
    case Kind.INT:
    case Kind.FLOAT:
    case Kind.STRING:
    case Kind.BOOLEAN:
    case Kind.NULL:
    case Kind.ENUM:
      return raw(pick(VALUES));
    default:
      return undefined;
  }
}

/// A value as it stands in the text; `print` writes names as they are.
function raw(text) {
  return text.startsWith('$')
    ? { kind: Kind.VARIABLE, name: { kind: Kind.NAME, value: text.slice(1) } }
    : { kind: Kind.ENUM, value: text };
}
