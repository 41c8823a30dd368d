/** A worker of the bench without a GPU, a process of its own: a token every so many milliseconds for each sequence. */
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { parseServerMessage } from '../src/mesh/protocol/codec.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from '../src/mesh/protocol/control.ts';

const [url, intervalMs] = [process.argv[2]!, Number(process.argv[3])];
const socket = new WebSocket(url);
const timers = new Map<number, NodeJS.Timeout>();
const opened = new Map<number, Extract<ServerMessage, { type: 'open' }>>();
const send = (message: PeerMessage) => socket.send(JSON.stringify(message));

function generate(sequence: number, promptLength: number): void {
  const { epoch, maxPositions } = opened.get(sequence)!;
  let position = promptLength;
  const timer = setInterval(() => {
    const finish = position === maxPositions - 1 ? 'length' : null;
    send({ type: 'token', epoch, sequence, position, token: 300 + (position % 1_000), finish });
    position++;
    if (finish !== null) clearInterval(timer);
  }, intervalMs);
  timers.set(sequence, timer);
}

const key = randomBytes(32).toString('base64url');
socket.on('open', () => send({ type: 'hello', version: CONTROL_VERSION, name: 'bench', key }));
socket.on('close', () => process.exit());
socket.on('message', (data) => {
  const message = parseServerMessage(String(data));
  if (message.type === 'welcome') {
    send({
      type: 'join',
      capability: {
        adapter: { vendor: 'bench', architecture: 'none', description: 'scripted', isFallback: false },
        maxBufferBytes: 2 ** 30,
        maxStorageBindingBytes: 2 ** 30,
        memoryBudgetBytes: 2 ** 32,
        gemvMacsPerSecond: 1e9,
        userAgent: 'bench',
      },
      held: [],
      links: [],
    });
    send({ type: 'running', sequences: [], last: true });
    setInterval(() => send({ type: 'alive' }), 1_000);
  } else if (message.type === 'hold') {
    const { shard } = message;
    send({ type: 'held', shard, downloadedBytes: 0, gpuBytes: 1, loadMs: 1, kvPositions: 1e9 });
  } else if (message.type === 'open') {
    const { sequence, epoch } = message;
    opened.set(sequence, message);
    send({ type: 'opened', sequence, epoch, position: 0, keptFrom: 0 });
  } else if (message.type === 'prompt' && message.last) {
    generate(message.sequence, message.position + message.ids.length);
  } else if (message.type === 'close') {
    clearInterval(timers.get(message.sequence));
    timers.delete(message.sequence);
    opened.delete(message.sequence);
  }
});
