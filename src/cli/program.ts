import { Command, CommanderError, Option } from 'commander';
import {
  DEFAULT_CONCURRENT_PER_CLIENT,
  DEFAULT_REPLICAS,
  DEFAULT_REQUESTS_PER_MINUTE,
  DRAIN_TIMEOUT_SECONDS,
  MAX_CONCURRENT_PER_CLIENT,
  MAX_CONTEXT_POSITIONS,
  MAX_DRAIN_TIMEOUT_SECONDS,
  MAX_LAYERS,
  MAX_REPLICAS,
  MAX_REQUESTS_PER_MINUTE,
  MAX_TABS,
  MAX_TRUSTED_PROXIES,
} from '../config/limits.ts';
import { versionText } from '../config/version.ts';
import { GPU_MODES, type GpuMode } from './browser/chrome-arguments.ts';
import {
  collect,
  decimalNumber,
  fingerprint,
  type IceServer,
  iceServer,
  joinKey,
  serverAddress,
  turnUrl,
  wholeNumber,
} from './option-values.ts';
import type { TrustFlags } from './server-trust.ts';

export const DEFAULT_PORT = 8787;
export const DEFAULT_SERVER = `http://127.0.0.1:${DEFAULT_PORT}`;

/** Options of `serve` and `up`, as commander names them. */
export interface ServerFlags {
  readonly model?: string;
  readonly config?: string;
  /** Absent: DEFAULT_PORT, or a free one where that is taken. */
  readonly port?: number;
  readonly host: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsSelfSigned?: boolean;
  readonly iceServer?: readonly IceServer[];
  readonly turnUrl?: readonly string[];
  readonly turnSecret?: string;
  /** Stages of a route, at least and at most. */
  readonly minStages?: number;
  readonly maxStages?: number;
  readonly solo?: boolean;
  /** Workers that shall hold each layer. */
  readonly replicas?: number;
  /** What workers are asked for. */
  readonly joinKey?: string;
  readonly allowHost?: readonly string[];
  readonly allowOrigin?: readonly string[];
  readonly apiKeys?: string;
  readonly rateLimit?: number;
  readonly maxConcurrent?: number;
  readonly trustProxy?: number;
  readonly providers: boolean;
  readonly strict?: boolean;
  readonly state?: string;
  /** Seconds. */
  readonly drainTimeout: number;
  /** Absent: what the catalogue says of the model, else native. */
  readonly quantization?: 'native' | 'q8' | 'q4';
  /** `auto`: f32 where a token's hidden state still fits one slice, else f16. */
  readonly wire: 'auto' | 'f16' | 'f32';
}

export interface BrowserFlags {
  readonly gpu: GpuMode;
  readonly headful?: boolean;
  readonly memory?: number;
  readonly sandbox: boolean;
}

export interface UpFlags extends ServerFlags, BrowserFlags {
  readonly workers: number;
  /** A question; `true` where only the flag was given, for --raw. */
  readonly once?: string | true;
  readonly raw?: string;
  readonly temperature: number;
  readonly maxTokens?: number;
  readonly seed?: number;
}

export interface WorkerFlags extends BrowserFlags, TrustFlags {
  readonly server: string;
  readonly config?: string;
  readonly tabs: number;
  /** Absent: `tab`, or this machine's name where a proxy is lent. */
  readonly name?: string;
  readonly key?: string;
  readonly joinKey?: string;
}

export interface ChatFlags extends TrustFlags {
  readonly server: string;
  /** Absent: the first that the server lists. */
  readonly model?: string;
  readonly history: boolean;
  readonly temperature: number;
  readonly maxTokens?: number;
  readonly seed?: number;
}

export interface StatusFlags extends TrustFlags {
  readonly server: string;
  readonly json?: boolean;
}

export interface DoctorFlags extends TrustFlags {
  readonly config?: string;
  readonly server?: string;
  readonly json?: boolean;
}

export interface KeysFlags {
  readonly file: string;
}

export interface KeysAddFlags extends KeysFlags {
  readonly requestsPerMinute?: number;
  readonly concurrent?: number;
  readonly lend?: boolean;
}

/** What the commands do; main.ts gives the real ones, tests their own. */
export interface Actions {
  up(flags: UpFlags, fail: (message: string) => never): Promise<void>;
  serve(flags: ServerFlags, fail: (message: string) => never): Promise<void>;
  worker(flags: WorkerFlags): Promise<void>;
  chat(question: string | undefined, flags: ChatFlags): Promise<void>;
  status(flags: StatusFlags): Promise<void>;
  doctor(flags: DoctorFlags): Promise<void>;
  pull(id: string | undefined): Promise<void>;
  configCheck(file: string): Promise<void>;
  keysAdd(name: string, flags: KeysAddFlags): Promise<void>;
  keysList(flags: KeysFlags): Promise<void>;
  keysRemove(name: string, flags: KeysFlags): Promise<void>;
}

/** Usage errors end with exit code 2, as is usual; failures of a command with 1. */
const USAGE_ERROR = 2;

const HELP_END = `
Begin with "shoal up": it starts everything on this machine and says what to do next.
"shoal help up" lists its options; so for every command.`;

export function createProgram(actions: Actions): Command {
  const program = new Command('shoal')
    .description('A language model that runs across browser tabs.')
    .option('-V, --version', 'version and commit')
    .on('option:version', () => {
      // As commander does with a text that it knows beforehand; this one asks git, which only `--version` should wait for.
      const text = versionText();
      process.stdout.write(`${text}\n`);
      throw new CommanderError(0, 'commander.version', text);
    })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', HELP_END);
  const fail = (message: string): never => program.error(`error: ${message}`, { exitCode: USAGE_ERROR });

  withSampling(withBrowser(withServer(program.command('up'))))
    .description('server and headless workers on this machine, and one answered question')
    .option('--workers <n>', 'tabs that share the model', wholeNumber(1, MAX_TABS), 3)
    .option('--once [question]', 'print the answer alone on stdout and exit')
    .option('--raw <text>', 'with --once: complete this text instead of asking; "" starts from BOS')
    .action((flags: UpFlags) => actions.up(flags, fail));

  withServer(program.command('serve'))
    .description('the server: page, signaling, OpenAI-compatible API')
    .action((flags: ServerFlags) => actions.serve(flags, fail));

  withTrust(withBrowser(program.command('worker')))
    .description(
      'headless Chrome tabs that lend this machine’s GPU, or the backend of a model_backend.yaml; Ctrl-C lets answers move to other workers first, for 30 s at most, a second one leaves at once',
    )
    .option('--server <url>', 'the server to work for', serverAddress, DEFAULT_SERVER)
    .option('--tabs <n>', 'tabs to open', wholeNumber(1, MAX_TABS), 1)
    .option('--config <file>', 'model_backend.yaml: a proxy in it is lent whole, without a browser')
    .option('--name <name>', 'what it is called (default: tab; with a proxy, this machine’s name)')
    .option(
      '--key <key>',
      'a key of the server made with keys add --lend, for lending a proxy; better in SHOAL_API_KEY, for lists of processes show it',
    )
    .option(
      '--join-key <key>',
      'of a server that takes no tabs without one; better in SHOAL_JOIN_KEY, for lists of processes show it',
      joinKey,
    )
    .action((flags: WorkerFlags) => actions.worker(flags));

  withTrust(withSampling(program.command('chat').argument('[question...]')))
    .description(
      'ask a running server; without a question, a conversation (/help in it); SHOAL_API_KEY is the key, where it asks for one',
    )
    .option('--server <url>', 'the server to ask', serverAddress, DEFAULT_SERVER)
    .option('--model <id>', 'the model to ask (default: the first that the server lists)')
    .option('--no-history', 'keep nothing of what is typed for the arrow keys of later chats')
    // Who forgets the quotes means the same.
    .action((words: string[], flags: ChatFlags) =>
      actions.chat(words.length === 0 ? undefined : words.join(' '), flags),
    );

  withTrust(program.command('status'))
    .description(
      'what a running server serves: the routes that answers run on, who holds which layers, workers, nodes',
    )
    .option('--server <url>', 'the server to ask', serverAddress, DEFAULT_SERVER)
    .option('--json', 'for programs')
    .action((flags: StatusFlags) => actions.status(flags));

  withTrust(program.command('doctor'))
    .description('check what a node needs: Node, browser, adapter, port, model or backend')
    .option('--config <file>', 'model_backend.yaml (default: the one in the working directory, if any)')
    .option('--server <url>', 'check that this server answers, instead of the port for one', serverAddress)
    .option('--json', 'for programs')
    .action((flags: DoctorFlags) => actions.doctor(flags));

  program
    .command('pull [id]')
    .description('fetch a model of the catalogue; without an id, list them')
    .action((id: string | undefined) => actions.pull(id));

  program
    .command('config')
    .description('the node’s configuration')
    .command('check <file>')
    .description('check a model_backend.yaml')
    .action((file: string) => actions.configCheck(file));

  const keys = program.command('keys').description('who may use the API (serve --api-keys)');
  withKeyFile(keys.command('add <name>'))
    .description('make a key and print it; the file gets its hash')
    .option(
      '--requests-per-minute <n>',
      'of this key, instead of the server’s default',
      wholeNumber(1, MAX_REQUESTS_PER_MINUTE),
    )
    .option(
      '--concurrent <n>',
      'answers at once, instead of the server’s default',
      wholeNumber(1, MAX_CONCURRENT_PER_CLIENT),
    )
    .option(
      '--lend',
      'its holder may lend a backend too (worker, page), and so read and answer what others ask',
    )
    .action((name: string, flags: KeysAddFlags) => actions.keysAdd(name, flags));
  withKeyFile(keys.command('list'))
    .description('names, dates and limits')
    .action((flags: KeysFlags) => actions.keysList(flags));
  withKeyFile(keys.command('remove <name>'))
    .description('end a key')
    .action((name: string, flags: KeysFlags) => actions.keysRemove(name, flags));

  for (const command of [program, ...program.commands]) throwUsageErrors(command);
  return program;
}

function withServer(command: Command): Command {
  return command
    .option('--model <id|dir>', 'a catalogue id, or a directory in Hugging Face layout')
    .option('--config <file>', 'model_backend.yaml (default: the one in the working directory, if any)')
    .option(
      '--drain-timeout <seconds>',
      'answers on their way get so long to end when the server is stopped',
      wholeNumber(0, MAX_DRAIN_TIMEOUT_SECONDS),
      DRAIN_TIMEOUT_SECONDS,
    )
    .option('--port <n>', `port (default: ${DEFAULT_PORT}, or a free one)`, wholeNumber(0, 65_535))
    .option('--host <address>', 'address to listen on; others than loopback need TLS for WebGPU', '127.0.0.1')
    .option('--tls-cert <file>', 'certificate, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--tls-self-signed', 'with a certificate of its own, kept for a year; browsers warn once')
    .option(
      '--ice-server <url>',
      'stun:… or turn:…,user,credential for tabs behind NAT; repeatable',
      iceServer,
    )
    .option(
      '--turn-url <url>',
      'turn:host:port of a coturn with use-auth-secret: each worker gets credentials that end; repeatable',
      turnUrl,
    )
    .option(
      '--turn-secret <secret>',
      'its static-auth-secret; better in SHOAL_TURN_SECRET, for lists of processes show it',
    )
    .option(
      '--join-key <key>',
      'what workers are asked for, a pass phrase of 8 to 200 characters; better in SHOAL_JOIN_KEY, for lists of processes show it',
      joinKey,
    )
    .option(
      '--allow-host <name>',
      'a further name of this server: a domain, a reverse proxy; repeatable',
      collect,
    )
    .option('--allow-origin <origin>', 'a site whose pages may use this server; repeatable', collect)
    .option('--api-keys <file>', 'the API asks for a key of this file (shoal keys add)')
    .option(
      '--rate-limit <n>',
      `requests a minute of one key or address (default: ${DEFAULT_REQUESTS_PER_MINUTE}; none for this machine without keys)`,
      wholeNumber(1, MAX_REQUESTS_PER_MINUTE),
    )
    .option(
      '--max-concurrent <n>',
      `answers at once of one key or address (default: ${DEFAULT_CONCURRENT_PER_CLIENT}; none for this machine without keys)`,
      wholeNumber(1, MAX_CONCURRENT_PER_CLIENT),
    )
    .option(
      '--state <dir>',
      'keep answers that have an Idempotency-Key there, sealed, so that they outlive a restart of the server (also SHOAL_STATE_DIR)',
    )
    .option('--no-providers', 'take no backend that others lend (shoal worker --config, the page)')
    .option(
      '--strict',
      'refuse parameters that nobody here knows; without it they are ignored and the client told',
    )
    .option(
      '--trust-proxy <hops>',
      'reverse proxies before this server, whose X-Forwarded-For tells the client’s address',
      wholeNumber(1, MAX_TRUSTED_PROXIES),
    )
    .addOption(
      new Option(
        '--min-stages <n>',
        'split the model over so many workers at least, though one would do (up: over all its tabs)',
      )
        .argParser(wholeNumber(1, MAX_LAYERS))
        .conflicts('solo'),
    )
    .addOption(
      new Option('--max-stages <n>', 'split it over so many at most')
        .argParser(wholeNumber(1, MAX_LAYERS))
        .conflicts('solo'),
    )
    .option('--solo', 'each worker holds the whole model, or nothing')
    .option(
      '--replicas <n>',
      `workers that hold each layer at least, where memory allows; more while many ask (default: ${DEFAULT_REPLICAS})`,
      wholeNumber(1, MAX_REPLICAS),
    )
    .addOption(
      new Option(
        '--quantization <kind>',
        'weights on the GPU (default: what the catalogue says, else native)',
      ).choices(['native', 'q8', 'q4']),
    )
    .addOption(
      new Option(
        '--wire <dtype>',
        'activations between workers; auto: f32 while a token fits one slice (hidden ≤ 1,137), else f16',
      )
        .choices(['auto', 'f16', 'f32'])
        .default('auto'),
    );
}

function withKeyFile(command: Command): Command {
  return command.option('--file <file>', 'where the hashes stand', 'api_keys.json');
}

function withBrowser(command: Command): Command {
  return command
    .addOption(
      new Option('--gpu <mode>', 'adapter to ask headless Chrome for').choices(GPU_MODES).default('auto'),
    )
    .option('--memory <gb>', 'what each tab lends, in GB of 10⁹ bytes (default: 2)', decimalNumber(0.1, 1024))
    .option('--headful', 'show the browser')
    .option('--no-sandbox', 'start Chrome without its sandbox');
}

function withTrust(command: Command): Command {
  return command
    .option(
      '--tls-fingerprint <sha256:…>',
      'of the server’s certificate, as it prints it at its start (--tls-self-signed): that one is taken, no other',
      fingerprint,
    )
    .option('--insecure', 'take any TLS certificate, from whoever answers there');
}

function withSampling(command: Command): Command {
  return command
    .option('--temperature <t>', '0 is greedy', decimalNumber(0, 2), 0)
    .option('--max-tokens <n>', 'tokens of the answer at most', wholeNumber(1, MAX_CONTEXT_POSITIONS))
    .option('--seed <n>', 'of the random draws', wholeNumber(0, 0xffff_ffff));
}

/** Instead of ending the process: help and faults may have to be written yet. */
function throwUsageErrors(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) throwUsageErrors(child);
}

/**
 * Runs the command that the arguments name.
 * @returns the exit code where it was no command that ran: after help or version, or what is wrong with the arguments
 */
export async function runProgram(program: Command, args: readonly string[]): Promise<number> {
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : USAGE_ERROR;
  }
}
