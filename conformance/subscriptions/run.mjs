// The real clients graphql-ws and graphql-sse against a started `fraiseql up`.
//
// Needs node 20, `npm ci` in this folder, and a built binary: FRAISEQL=<path> npm test
// Prints one line for each check and fails with the first that does not hold.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient as createSse } from 'graphql-sse';
import { createClient as createWs } from 'graphql-ws';
import WebSocket from 'ws';

const here = dirname(fileURLToPath(import.meta.url));
const binary = process.env.FRAISEQL ?? 'fraiseql';
const SOON_MS = 20_000;

// What the subscriptions of this run are; the rest is the music store as it is.
const SUBSCRIPTION = `
type Subscription {
  genres: [Genre!]!
  genre(genreId: Int!): Genre
}
`;

const project = mkdtempSync(join(tmpdir(), 'fraiseql-subscriptions-'));
cpSync(join(here, '../../examples/chinook'), project, {
  recursive: true,
  filter: (path) => !path.includes('.fraiseql') && !path.endsWith('.compiled.json'),
});
const schema = join(project, 'schema.graphql');
writeFileSync(schema, readFileSync(schema, 'utf8') + SUBSCRIPTION);

const server = spawn(binary, ['up', project, '--port', '0', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
const exited = new Promise((resolve) => server.on('exit', resolve));
let checks = 0;

function passed(what) {
  checks += 1;
  console.log(`ok ${checks} ${what}`);
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing came in ${SOON_MS} ms`)), SOON_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function url() {
  let text = '';
  for await (const chunk of server.stdout) {
    text += chunk;
    const line = text.split('\n').find((line) => line.includes('"url"'));
    if (line?.trimEnd().endsWith('}')) return JSON.parse(line).url;
    try {
      return JSON.parse(text).url;
    } catch {
      // More is to come.
    }
  }
  throw new Error('the server ended before it listened');
}

async function post(base, query) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${base}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
  const answer = await response.json();
  assert.equal(answer.errors, undefined, JSON.stringify(answer));
  return answer.data;
}

async function next(results, what) {
  const { value, done } = await within(results.next(), what);
  assert.equal(done, false, `${what}: it ended`);
  return value;
}

// What both clients promise: an answer at once, one for each change, the end on return.
async function watches(name, client, base) {
  const query = 'subscription($id: Int!) { genre(genreId: $id) { name } }';
  const results = client.iterate({ query, variables: { id: 1 } });
  const before = (await next(results, `${name}: first answer`)).data.genre.name;
  passed(`${name}: the answer comes at once (${before})`);
  for (const change of ['one', 'two', 'three']) {
    await post(base, `mutation { updateGenre(genreId: 1, set: {name: "${name} ${change}"}) { genreId } }`);
    const { data } = await next(results, `${name}: ${change}`);
    assert.equal(data.genre.name, `${name} ${change}`);
  }
  passed(`${name}: each of three changes comes`);
  await results.return();
  const once = client.iterate({ query: '{ genre(genreId: 2) { genreId } }' });
  assert.equal((await next(once, `${name}: query`)).data.genre.genreId, 2);
  assert.equal((await within(once.next(), `${name}: end of a query`)).done, true);
  passed(`${name}: a query is answered once`);
  await post(base, `mutation { updateGenre(genreId: 1, set: {name: "${before}"}) { genreId } }`);
}

async function refusesOverWs(client) {
  const results = client.iterate({ query: 'subscription { nothing }' });
  const error = await within(results.next(), 'ws: error').then(
    () => assert.fail('a document with errors was answered'),
    (error) => error,
  );
  const [first] = Array.isArray(error) ? error : [error];
  assert.equal(first.extensions.code, 'GRAPHQL_VALIDATION_FAILED');
  passed('ws: a document with errors is refused');
}

async function refusesOverSse(client) {
  const results = client.iterate({ query: 'subscription { nothing }' });
  const { errors } = await next(results, 'sse: errors');
  assert.equal(errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
  assert.equal((await within(results.next(), 'sse: end')).done, true);
  passed('sse: a document with errors is refused');
}

// The close codes that the client's library never provokes, by hand.
function closeCode(base, messages) {
  const socket = new WebSocket(`${base.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  socket.on('open', () => messages.forEach((message) => socket.send(JSON.stringify(message))));
  return within(new Promise((resolve) => socket.on('close', resolve)), 'a close code');
}

async function closes(base) {
  const init = { type: 'connection_init' };
  const subscribe = { id: '1', type: 'subscribe', payload: { query: 'subscription { genres { name } }' } };
  assert.equal(await closeCode(base, [{ type: 'start' }]), 4400);
  assert.equal(await closeCode(base, [subscribe]), 4401);
  assert.equal(await closeCode(base, []), 4408);
  assert.equal(await closeCode(base, [init, subscribe, subscribe]), 4409);
  assert.equal(await closeCode(base, [init, init]), 4429);
  passed('ws: closes with 4400, 4401, 4408, 4409 and 4429');
}

try {
  const base = await within(url(), 'the server');
  const codes = [];
  const ws = createWs({
    url: `${base.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    lazy: false,
    keepAlive: 1_000,
    onNonLazyError: () => {},
    on: { closed: (event) => codes.push(event.code) },
  });
  const sse = createSse({ url: `${base}/graphql`, retryAttempts: 0 });
  await watches('ws', ws, base);
  await watches('sse', sse, base);
  await refusesOverWs(ws);
  await refusesOverSse(sse);
  await closes(base);
  const [overWs, overSse] = [ws, sse].map((client) => client.iterate({ query: 'subscription { genres { name } }' }));
  assert.ok((await next(overWs, 'ws: list')).data.genres.length > 20);
  assert.ok((await next(overSse, 'sse: list')).data.genres.length > 20);
  server.kill('SIGTERM');
  assert.equal((await within(overWs.next(), 'ws: complete')).done, true);
  assert.equal((await within(overSse.next(), 'sse: complete')).done, true);
  await within(exited, 'the end of the server');
  assert.deepEqual(codes, [1001]);
  passed('a drain completes both, and closes the WebSocket with 1001');
  console.log(`${checks} checks passed`);
} finally {
  server.kill('SIGTERM');
  await exited;
  rmSync(project, { recursive: true, force: true });
}
