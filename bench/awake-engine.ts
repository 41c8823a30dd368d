/** A worker of the bench without a GPU, a process of its own: a token every so many milliseconds for each sequence. */
import { WebSocket } from 'ws';
import { parseServerMessage } from '../src/mesh/protocol/codec.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from '../src/mesh/protocol/control.ts';

const [url, intervalMs] = [process.argv[2]!, Number(process.argv[3])];
const socket = new WebSocket(url);
const timers = new Map<string, NodeJS.Timeout>();
const opened = new Map<string, Extract<ServerMessage, { type: 'open' }>>();
const send = (message: PeerMessage) => socket.send(JSON.stringify(message));

function generate(key: string, promptLength: number): void {
  const { epoch, sequence, maxPositions } = opened.get(key)!;
  let position = promptLength;
  const timer = setInterval(() => {
    const finish = position === maxPositions - 1 ? 'length' : null;
    send({ type: 'token', epoch, sequence, position, token: 300 + (position % 1_000), finish });
    position++;
    if (finish !== null) clearInterval(timer);
  }, intervalMs);
  timers.set(key, timer);
}

socket.on('open', () => send({ type: 'hello', version: CONTROL_VERSION, name: 'bench' }));
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
    });
  } else if (message.type === 'assign') {
    send({ type: 'ready', epoch: message.epoch, downloadedBytes: 0, gpuBytes: 1, loadMs: 1 });
  } else if (message.type === 'open') {
    opened.set(`${message.epoch}/${message.sequence}`, message);
    send({ type: 'opened', epoch: message.epoch, sequence: message.sequence });
  } else if (message.type === 'prompt' && message.last) {
    generate(`${message.epoch}/${message.sequence}`, message.position + message.ids.length);
  } else if (message.type === 'close') {
    const key = `${message.epoch}/${message.sequence}`;
    clearInterval(timers.get(key));
    timers.delete(key);
    opened.delete(key);
  }
});
