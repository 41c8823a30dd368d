/** What `shoal up` shows while it starts, and when it runs: lines kept up to date and a summary at a terminal, a log elsewhere. */
import type { Logger } from 'pino';
import type { Status } from '../mesh/protocol/status.ts';
import { layersText } from '../model/shard.ts';
import type { Answer } from './api-client.ts';
import type { TabState } from './browser/tab-state.ts';
import { servedBy } from './chat/served-line.ts';
import { commandName } from './command-name.ts';
import type { LiveLines } from './live-lines.ts';
import { createLogger, loggerAbove } from './log.ts';
import { printable, printableLines } from './printable.ts';
import { trustLines } from './serve.ts';
import { isNews, reportTab, tabLine } from './tab-line.ts';
import { textTable } from './text-table.ts';

export interface Started {
  readonly server: { readonly url: string } & Parameters<typeof trustLines>[0];
  readonly status: Status;
  /** Null where the backend lists none yet. */
  readonly model: string | null;
  readonly question: string;
  /** Or why there is none. */
  readonly sample: Answer | string;
  /** Where a client looks by itself. */
  readonly defaultServer: string;
}

export interface UpView {
  readonly log: Logger;
  /** Something that takes a while, by its name. */
  step(name: string, text: string, isDone?: boolean): void;
  /** A tab entered another phase. */
  tabChanged(tab: string, state: TabState): void;
  /** A tab said something, maybe only how far it is. */
  tabSaid(tab: string, state: TabState): void;
  /** Before the first token: how fast a request alone should be answered. */
  expects(speed: string): void;
  started(what: Started): void;
  /** Nothing is kept up to date any more. */
  end(): void;
}

export const createUpView = (lines: LiveLines | null): UpView =>
  lines === null ? logView(createLogger()) : liveView(lines);

function logView(log: Logger): UpView {
  return {
    log,
    step: () => {},
    tabChanged: (tab, state) => reportTab(log, tab, state),
    tabSaid: () => {},
    expects: (speed) => log.info(`expects ${speed}`),
    started({ server, model, question, sample }) {
      log.info(`page ${server.url}`);
      for (const line of trustLines(server)) log.info(line);
      if (model !== null) log.info(`API  ${server.url}/v1  (model "${model}")`);
      if (typeof sample === 'string') log.warn(sample);
      else {
        log.info(`“${question}” → “${sample.text.trim()}”`);
        log.info(`served by ${servedBy(sample)}`);
      }
      log.info('ready; Ctrl-C stops everything');
    },
    end: () => {},
  };
}

function liveView(lines: LiveLines): UpView {
  const startedMs = performance.now();
  const log = loggerAbove(lines);
  let isStarted = false;
  return {
    log,
    step: (name, text, isDone = false) => lines.set(name, text, isDone ? 'done' : 'busy'),
    tabChanged(tab, state) {
      if (isStarted && isNews(state)) reportTab(log, tab, state);
    },
    tabSaid(tab, state) {
      const { text, mark } = tabLine(state);
      lines.set(tab, text, mark);
    },
    expects: (speed) => lines.set('speed', `expects ${speed}`, 'done'),
    started(what) {
      lines.end();
      isStarted = true;
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
      process.stderr.write(`${summaryLines(what, seconds).join('\n')}\n`);
    },
    end: () => lines.end(),
  };
}

/** Who holds what, one answer, where it is, and what to do next. */
export function summaryLines(
  { server, status, model, question, sample, defaultServer }: Started,
  seconds: string,
  command = commandName(),
): string[] {
  const { pipeline, workers, nodes } = status;
  const adapterOf = (peer: string) => workers.find((worker) => worker.peer === peer)?.adapter;
  const holders = pipeline?.stages.map(({ peer, name, shard }) => {
    const adapter = adapterOf(peer);
    const words = adapter && (adapter.description || `${adapter.vendor} ${adapter.architecture}`.trim());
    return [
      name,
      layersText(shard.start, shard.end),
      `${words ?? ''}${adapter?.isFallback ? ' (software: slow)' : ''}`,
    ];
  });
  const rows = holders ?? nodes.map(({ name, provider, state }) => [name, provider, state]);
  const answer =
    typeof sample === 'string'
      ? [`! ${printable(sample)}`]
      : [`“${question}”`, `“${printableLines(sample.text.trim())}”`, `by ${servedBy(sample)}`];
  const [certificate] = trustLines(server);
  const chat = [
    `${command} chat`,
    ...(server.url === defaultServer ? [] : [`--server ${server.url}`]),
    ...(server.selfSigned === null ? [] : [`--tls-fingerprint ${server.selfSigned.fingerprint}`]),
  ].join(' ');
  return [
    `✓ ${model === null ? 'Shoal' : printable(model)} runs (after ${seconds} s)`,
    '',
    ...textTable(rows).map((line) => `  ${line}`),
    '',
    ...answer.map((line) => `  ${line}`),
    '',
    `  page  ${server.url}`,
    `  API   ${server.url}/v1${model === null ? '' : `  (model "${printable(model)}")`}`,
    ...(certificate === undefined ? [] : [`  ${certificate}`]),
    '',
    'Open the page to chat, or to lend a GPU. Or, in another terminal:',
    `  ${chat}`,
    'Ctrl-C stops everything.',
  ];
}
