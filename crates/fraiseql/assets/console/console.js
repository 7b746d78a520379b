// Shows what the agent tells each second. Nothing is kept but the token, for as long as the tab is open.
'use strict';

const KEPT = 300;
const $ = (id) => document.getElementById(id);
const short = (release) => (release || '').slice(0, 12);
const history = new Map();
let before = null;
let token = sessionStorage.getItem('token') || '';

if (location.hash.startsWith('#token=')) {
  token = location.hash.slice('#token='.length);
  sessionStorage.setItem('token', token);
  window.history.replaceState(null, '', location.pathname);
}

function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function row(cells) {
  const line = document.createElement('tr');
  for (const cell of cells) {
    const place = document.createElement('td');
    if (cell instanceof Node) place.append(cell); else place.textContent = cell;
    line.append(place);
  }
  return line;
}

function marked(kind, words) {
  const all = document.createElement('span');
  const mark = document.createElement('span');
  mark.className = `mark ${kind}`;
  all.append(mark, words);
  return all;
}

// Buckets of latency: each bound is about 1.26 times the one before, from 100 us.
function p99(latency) {
  const all = latency.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let seen = 0;
  for (let index = 0; index < latency.length; index += 1) {
    seen += latency[index];
    if (seen >= all * 0.99) return (100 * 10 ** (index / 10)) / 1000;
  }
  return null;
}

function kindOf(service, release) {
  if (service.rollout && release === service.rollout.new) return 'new';
  if (release === service.stable) return 'old';
  return 'other';
}

function note(status) {
  const seconds = before ? (status.now_ms - before.now_ms) / 1000 : 0;
  for (const counts of status.traffic || []) {
    const earlier = before && (before.traffic || []).find((other) => other.release === counts.release);
    if (!earlier || seconds <= 0) continue;
    const requests = Math.max(0, counts.requests - earlier.requests);
    const latency = counts.latency.map((count, index) => Math.max(0, count - (earlier.latency[index] || 0)));
    const points = history.get(counts.release) || [];
    points.push({ at: status.now_ms, rate: requests / seconds, p99: p99(latency), bad: counts.bad - earlier.bad, requests });
    while (points.length > KEPT) points.shift();
    history.set(counts.release, points);
  }
  before = status;
}

function draw(id, service, value, unit) {
  const svg = $(id);
  const lines = [...history].map(([release, points]) => [kindOf(service, release), points]);
  const values = lines.flatMap(([, points]) => points.map(value)).filter((found) => found !== null);
  const top = Math.max(1, ...values);
  const now = before.now_ms;
  const parts = [];
  const make = (name, attributes) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, set] of Object.entries(attributes)) node.setAttribute(key, set);
    parts.push(node);
  };
  make('line', { x1: 0, x2: 600, y1: 110, y2: 110 });
  make('line', { x1: 0, x2: 600, y1: 12, y2: 12 });
  text($(`${id}-top`), `; the upper line is ${top.toFixed(top < 10 ? 1 : 0)}`);
  for (const [kind, points] of lines) {
    const path = points
      .filter((point) => value(point) !== null)
      .map((point) => `${(600 - (now - point.at) / 1000 * 2).toFixed(1)},${(110 - (value(point) / top) * 98).toFixed(1)}`);
    make('polyline', { class: kind, points: path.join(' ') });
  }
  svg.replaceChildren(...parts);
  const newest = lines.map(([kind, points]) => `${kind} ${value(points[points.length - 1])?.toFixed(1) ?? 'none'}`);
  svg.setAttribute('aria-label', `${unit}: ${newest.join(', ') || 'nothing yet'}`);
}

async function command(name) {
  text($('said'), `${name}: sent`);
  const answer = await fetch('/command', {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ command: name }),
  });
  const body = await answer.json();
  text($('said'), answer.ok ? `${name}: written down` : `${name}: ${body.error} ${body.hint || ''}`);
}

const ACTIONS = [
  ['hold', 'Hold', false], ['resume', 'Resume', false], ['promote', 'Promote', false],
  ['abort', 'Abort', true], ['rollback', 'Roll back', true],
];

function actions(service) {
  const going = service.rollout && service.rollout.phase.phase === 'going';
  const can = {
    hold: going && !service.rollout.hold, resume: going && service.rollout.hold, promote: going, abort: going,
    rollback: !service.rollout && service.previous,
  };
  const wanted = ACTIONS.filter(([name]) => can[name]);
  const place = $('actions');
  // Kept while they are the same, so that the focus stays where it is.
  if (place.dataset.names === wanted.map(([name]) => name).join()) return;
  place.dataset.names = wanted.map(([name]) => name).join();
  place.replaceChildren(...wanted.map(([name, words, grave]) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = words;
    if (grave) button.className = 'grave';
    button.addEventListener('click', () => {
      if (!grave || confirm(`${words}: all traffic goes back to the release before. Do it?`)) command(name);
    });
    return button;
  }));
}

function outcome(last) {
  if (!last) return 'nothing was deployed yet';
  const how = last.outcome.outcome.replaceAll('_', ' ');
  return `no rollout; the last one, ${last.id} of ${short(last.release)}: ${how}`;
}

function rollout(status) {
  const { service, seen, busy } = status;
  const now = service.rollout;
  const steps = $('steps');
  if (!now) {
    text($('sentence'), outcome(service.last));
    text($('evidence'), '');
    steps.replaceChildren();
    $('gates').hidden = true;
    return;
  }
  const phase = now.phase;
  const since = phase.since_ms ? ` for ${Math.round((status.now_ms - phase.since_ms) / 1000)} s` : '';
  const held = now.hold ? '; held' : '';
  text($('sentence'), `rollout ${now.id}: ${now.policy.strategy.replaceAll('_', ' ')} of ${short(now.new)}, `
    + `${(phase.stage || phase.phase).replaceAll('_', ' ')}${since}${held}`);
  steps.replaceChildren(...now.policy.shares.map((share, index) => {
    const item = document.createElement('li');
    const done = phase.step !== undefined && index < phase.step;
    item.textContent = `${done ? '\u2713 ' : ''}${share} %`;
    if (done) item.className = 'done';
    if (index === phase.step) item.setAttribute('aria-current', 'step');
    return item;
  }));
  const told = seen ? `new release ${seen.new.bad} of ${seen.new.requests} bad, old release ${seen.old.bad} of ${seen.old.requests}` : '';
  text($('evidence'), busy ? `waits for ${busy.gate}: ${busy.said}` : told);
  const gates = Object.entries(now.gates || {});
  $('gates').hidden = gates.length === 0;
  $('gates').querySelector('tbody').replaceChildren(...gates.map(([name, gate]) => {
    const state = document.createElement('span');
    state.textContent = gate.outcome.replaceAll('_', ' ');
    state.className = { passed: 'good', failed: 'bad' }[gate.outcome] || '';
    return row([name, state, gate.evidence]);
  }));
}

function traffic({ service, proxy }) {
  const arms = (proxy && proxy.generation && proxy.generation.arms) || [];
  const shares = $('shares');
  shares.replaceChildren(...arms.filter((arm) => arm.weight > 0).map((arm) => {
    const part = document.createElement('span');
    part.className = kindOf(service, arm.release);
    part.style.width = `${arm.weight}%`;
    part.textContent = `${arm.weight} %`;
    return part;
  }));
  shares.setAttribute('aria-label', arms.map((arm) => `${short(arm.release)}: ${arm.weight} %`).join(', ') || 'no traffic yet');
  $('releases').querySelector('tbody').replaceChildren(...arms.map((arm) => {
    const points = (history.get(arm.release) || []).slice(-10);
    const rate = points.reduce((sum, point) => sum + point.rate, 0) / (points.length || 1);
    const requests = points.reduce((sum, point) => sum + point.requests, 0);
    const bad = points.reduce((sum, point) => sum + point.bad, 0);
    const slow = points.map((point) => point.p99).filter((time) => time !== null);
    const errors = document.createElement('span');
    errors.textContent = requests ? `${(100 * bad / requests).toFixed(2)} %` : '-';
    if (bad > 0) errors.className = 'bad';
    return row([marked(kindOf(service, arm.release), short(arm.release)), `${arm.weight} %`, rate.toFixed(1), errors,
      slow.length ? `${Math.max(...slow).toFixed(1)} ms` : '-']);
  }));
  draw('rates', service, (point) => point.rate, 'a second');
  draw('times', service, (point) => point.p99, 'ms');
}

function instances(status) {
  $('instances').querySelector('tbody').replaceChildren(...status.instances.map((instance) => {
    const state = document.createElement('span');
    state.textContent = instance.stopping ? 'stopping' : instance.ready ? 'ready' : 'starting';
    state.className = instance.ready && !instance.stopping ? 'good' : '';
    const memory = instance.memory_bytes ? `${(instance.memory_bytes / 1048576).toFixed(0)} MiB` : '-';
    return row([marked(kindOf(status.service, instance.release), instance.name), state, memory, String(instance.crashes)]);
  }));
}

function show(status) {
  note(status);
  const { service } = status;
  const gate = service.gate === 'open' ? '' : '; requests are held or refused';
  text($('state'), `${service.stable ? `${short(service.stable)} is stable` : 'no release yet'}`
    + `${gate}${service.read_only ? '; read-only' : ''}`);
  $('faults').replaceChildren(...(status.faults || []).map((fault) => {
    const item = document.createElement('li');
    item.textContent = fault;
    return item;
  }));
  rollout(status);
  actions(service);
  traffic(status);
  instances(status);
}

async function listen() {
  const answer = await fetch('/events', { headers: { Authorization: `Bearer ${token}` } });
  $('login').hidden = answer.status !== 401;
  if (answer.status === 401) {
    text($('state'), 'not logged in');
    return false;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return true;
    rest += value;
    const events = rest.split('\n\n');
    rest = events.pop();
    for (const event of events) show(JSON.parse(event.slice('data: '.length)));
  }
}

async function run() {
  for (;;) {
    try {
      if (!await listen()) return;
    } catch (error) {
      // The agent is away; instances and proxy go on without it.
    }
    text($('state'), 'the agent is away; trying again');
    await new Promise((resume) => setTimeout(resume, 2000));
  }
}

$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  token = $('token').value.trim();
  sessionStorage.setItem('token', token);
  run();
});
run();
