// BullMQ: `node peer.js enqueue JOBS`, or `node peer.js work CONCURRENCY`. PEER_REDIS says where Redis is.

import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const CHUNK = 1000;
const [verb, number] = process.argv.slice(2);
const connection = new Redis(process.env.PEER_REDIS, { maxRetriesPerRequest: null });

if (verb === 'enqueue') {
  const queue = new Queue('default', { connection });
  for (let begin = 0; begin < Number(number); begin += CHUNK) {
    const length = Math.min(CHUNK, Number(number) - begin);
    // Attempts, so that a failure is retried; nothing is kept of what has succeeded, as with the others.
    const opts = { attempts: 3, removeOnComplete: true };
    await queue.addBulk(
      Array.from({ length }, (_, n) => ({ name: 'nothing', data: { n: 100000 + begin + n, x: 'x'.repeat(81) }, opts })),
    );
  }
  await queue.close();
  await connection.quit();
} else {
  new Worker('default', async () => {}, { connection, concurrency: Number(number) });
}
