// Verifies deliveries with the packages receivers use. A JSON line {"secret", "headers", "body" (base64)} on stdin, a JSON
// line {"standardwebhooks": "ok" or why not, "svix": the same} on stdout for each, in order.
import { createInterface } from 'node:readline';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';

function verdict(Webhook, { secret, headers, body }) {
  try {
    new Webhook(secret).verify(Buffer.from(body, 'base64').toString('utf8'), headers);
    return 'ok';
  } catch (e) {
    return String(e.message || e);
  }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const delivery = JSON.parse(line);
  process.stdout.write(JSON.stringify({
    standardwebhooks: verdict(StandardWebhook, delivery),
    svix: verdict(SvixWebhook, delivery),
  }) + '\n');
}
