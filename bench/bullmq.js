// The usual home-made webhook sender: BullMQ jobs in Redis, a worker that signs (Standard Webhooks) and posts with
// undici over kept connections. Two processes, as people run it:
//   node bullmq.js worker   REDIS_PORT URL CONNECTIONS
//   node bullmq.js producer REDIS_PORT -   CONNECTIONS BODY_BYTES   (adds as many jobs as each line of stdin says)
'use strict';
const { createHmac, randomBytes, randomUUID } = require('node:crypto');
const { Queue, Worker } = require('bullmq');
const Redis = require('ioredis');

const [role, port, target, connections, bytes] = process.argv.slice(2);
const connection = new Redis({ port: Number(port), host: '127.0.0.1', maxRetriesPerRequest: null });

async function worker() {
  const { Pool } = require('undici');
  const pool = new Pool(target, { connections: Number(connections), pipelining: 1 });
  const secret = randomBytes(32);
  const w = new Worker('hooks', async (job) => {
    const body = job.data.body;
    const timestamp = Math.floor(Date.now() / 1000);
    const signature = createHmac('sha256', secret).update(`${job.data.id}.${timestamp}.${body}`).digest('base64');
    const answer = await pool.request({
      method: 'POST', path: '/', body,
      headers: {
        'content-type': 'application/json', 'user-agent': 'bench', 'webhook-id': job.data.id,
        'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,${signature}`,
      },
    });
    await answer.body.dump();
    if (answer.statusCode >= 300) throw new Error(`status ${answer.statusCode}`);
  }, { connection, concurrency: Number(connections) });
  await w.waitUntilReady();
  console.log('ready');
}

async function producer() {
  const queue = new Queue('hooks', { connection });
  await queue.waitUntilReady();
  const options = { attempts: 12, backoff: { type: 'exponential', delay: 5000 }, removeOnComplete: true };
  const fill = 'x'.repeat(Number(bytes) - 130);
  let left = 0;
  const one = async () => {
    while (left-- > 0) {
      const id = randomUUID();
      const body = JSON.stringify({ id, type: 'bench.event', timestamp: new Date(), data: { fill } });
      await queue.add('hook', { id, body }, options);
    }
  };
  console.log('ready');
  for await (const line of require('node:readline').createInterface({ input: process.stdin })) {
    left = Number(line);
    await Promise.all(Array.from({ length: Number(connections) }, one));
  }
  process.exit(0);
}

(role === 'worker' ? worker() : producer()).catch((e) => { console.error(e); process.exit(1); });
