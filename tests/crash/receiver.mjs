// The receivers of the crash test: one process, a path per webhook, /INDEX. Every request is verified as it comes, with both
// npm packages where the format is signed, and counted; nothing is printed until the end.
//
//   stdin   first line: {"hooks": [{"mood", "format", "secret"}, …], "data": file with one event's data per line,
//           "cert", "key"}; then "report" lines
//   stdout  {"http": port, "https": port} when ready; for each "report" what was counted so far
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(new URL('../e2e/package.json', import.meta.url));
const { Webhook: StandardWebhook } = require('standardwebhooks');
const { Webhook: SvixWebhook } = require('svix');

const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })[Symbol.asyncIterator]();
const config = JSON.parse((await lines.next()).value);
const data = readFileSync(config.data, 'latin1').split('\n').slice(0, -1).map((l) => Buffer.from(l, 'latin1'));

const hooks = config.hooks.map((h) => ({
  ...h,
  verifiers: h.secret ? [new StandardWebhook(h.secret), new SvixWebhook(h.secret)] : [],
  requests: 0,
  good: new Array(data.length).fill(0),   // answered 2xx, per event
  seen: new Array(data.length).fill(0),   // requests, per event
  bodies: new Array(data.length),         // digest of the first body, per event
}));
const ids = new Array(data.length);       // webhook-id of each event
const faults = {};                        // what → how often; must stay empty
const examples = {};

function fault(what, example) {
  faults[what] = (faults[what] || 0) + 1;
  examples[what] ??= String(example).slice(0, 400);
}

// Which event is it? null: none that was ever published.
function numberOf(hook, body) {
  const text = body.toString('utf8');
  let n;
  if (hook.format === 'discord') {
    const field = JSON.parse(text).embeds[0].fields.find((f) => f.name === 'n');
    n = field && field.value;
  } else if (hook.format === 'telegram') {
    n = (/^n: (\d+)$/m.exec(JSON.parse(text).text) || [])[1];
  } else {
    n = JSON.parse(text).data.n;
  }
  n = Number(n);
  return Number.isInteger(n) && n >= 0 && n < data.length ? n : null;
}

function judge(hook, headers, body) {
  let n = null;
  try {
    n = numberOf(hook, body);
  } catch (e) {
    fault('unreadable body', e);
  }
  if (n === null) {
    fault('unexpected event', body);
    return null;
  }
  const digest = createHash('sha1').update(body).digest('base64');
  if (hook.bodies[n] && hook.bodies[n] !== digest) fault('the body changed between attempts', body);
  hook.bodies[n] = digest;
  if (!hook.secret) return n;
  for (const v of hook.verifiers) {
    try {
      v.verify(body.toString('utf8'), headers);
    } catch (e) {
      fault('signature refused', `${e.message} ${JSON.stringify(headers)}`);
    }
  }
  if (body.indexOf(data[n]) < 0) fault('data is not byte for byte', body);
  if (ids[n] && ids[n] !== headers['webhook-id']) fault('webhook-id changed', `${ids[n]} ${headers['webhook-id']}`);
  ids[n] = headers['webhook-id'];
  return n;
}

// A share of all requests, the same whatever the order they come in.
function unlucky(hook, n, percent) {
  const h = createHash('sha1').update(`${hook.mood}/${n}/${hook.seen[n]}`).digest();
  return h.readUInt16BE(0) < percent * 655.36;
}

function answer(response, status, body = '', headers = {}) {
  response.writeHead(status, { 'Content-Length': Buffer.byteLength(body), ...headers });
  response.end(body);
}

const moods = {
  ok: (h, n, r) => answer(r, 200),
  slow: (h, n, r) => setTimeout(() => answer(r, 200), 100),
  flaky: (h, n, r) => answer(r, unlucky(h, n, 10) ? 500 : 200),
  resets: (h, n, r) => (unlucky(h, n, 3) ? r.socket.destroy() : answer(r, 200)),
  limited: (h, n, r) => (unlucky(h, n, 1) ? answer(r, 429, '', { 'Retry-After': '1' }) : answer(r, 200)),
  hangs: (h, n, r) => (unlucky(h, n, 0.1) ? undefined : answer(r, 200)),
  discord_limited: (h, n, r) => (unlucky(h, n, 1) ? answer(r, 429, '{"retry_after":1.0}') : answer(r, 200)),
  telegram: (h, n, r) => answer(r, 200, unlucky(h, n, 2) ? '{"ok":false}' : '{"ok":true}'),
  never: (h, n, r) => answer(r, 400, 'no'),
};

function good(hook, n, response) {
  const wasBad = hook.mood === 'telegram' ? unlucky(hook, n, 2) : false;
  response.on('finish', () => {
    if (response.statusCode < 300 && !wasBad) hook.good[n] += 1;
  });
}

function serve(request, response) {
  const hook = hooks[Number(request.url.slice(1).split('?')[0])];
  const parts = [];
  request.on('data', (p) => parts.push(p));
  request.on('end', () => {
    const n = judge(hook, request.headers, Buffer.concat(parts));
    if (n === null) {
      answer(response, 400);
      return;
    }
    hook.requests += 1;
    hook.seen[n] += 1;
    good(hook, n, response);
    moods[hook.mood](hook, n, response);
  });
}

const options = { keepAliveTimeout: 60000, requestTimeout: 0 };
const http = createHttp(options, serve);
const https = createHttps({ ...options, cert: readFileSync(config.cert), key: readFileSync(config.key) }, serve);
for (const s of [http, https]) {
  await new Promise((done) => s.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, done));
}
console.log(JSON.stringify({ http: http.address().port, https: https.address().port }));

for await (const line of lines) {
  if (line !== 'report') continue;
  console.log(JSON.stringify({
    faults, examples, ids: ids.map((i) => i || null),
    hooks: hooks.map(({ requests, good, seen }) => ({ requests, good, seen })),
  }));
}
process.exit(0);
