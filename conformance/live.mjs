// Questions to a running server: the audit of graphql-http, and whether its introspection is its SDL.
//
//   node live.mjs URL SDL-FILE [--audit]

import { readFileSync } from 'node:fs';
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from 'graphql';
import { auditServer } from 'graphql-http';

const [url, sdl] = process.argv.slice(2);

const query = getIntrospectionQuery({
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  schemaDescription: true,
  inputValueDeprecation: true,
  oneOf: true,
});
const answer = await fetch(url, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ query }),
});
const { data, errors } = await answer.json();
if (errors) throw new Error(JSON.stringify(errors));
const served = printSchema(lexicographicSortSchema(buildClientSchema(data)));
const printed = printSchema(lexicographicSortSchema(buildSchema(readFileSync(sdl, 'utf8'))));
if (served === printed) {
  console.log(`introspection: the schema of ${url} is ${sdl}: ${printed.split('\n').length} lines`);
} else {
  const [one, other] = [served.split('\n'), printed.split('\n')];
  const line = one.findIndex((text, index) => text !== other[index]);
  console.log(`introspection: line ${line + 1} is served as "${one[line]}" and printed as "${other[line]}"`);
  process.exitCode = 1;
}

if (process.argv.includes('--audit')) {
  const results = await auditServer({ url });
  const failed = results.filter((result) => result.status !== 'ok');
  for (const { id, name, status, reason } of failed) console.log(`audit: ${id} ${status}: ${name}: ${reason}`);
  console.log(`audit: ${results.length - failed.length} of ${results.length}`);
  if (failed.length > 0) process.exitCode = 1;
}
