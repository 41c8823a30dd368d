/**
 * Every bound of the project, in one place (docs/LIMITS.md explains them to operators).
 * Each line: the value, why that value, and when to revisit it.
 */
export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

// — model files ————————————————————————————————————————————————————————————————————————————————
/** A safetensors header is JSON of ~100 B a tensor: 16 MiB would be 160,000 tensors. The format itself allows 100 MB. */
export const MAX_SAFETENSORS_HEADER_BYTES = 16 * MIB;
/** A tensor's name; real ones have 60 characters. Bounds error texts, manifests and the memory of a header's map. */
export const MAX_TENSOR_NAME_CHARS = 256;
/** config.json, tokenizer_config.json and their like: real ones are under 1 MB. */
export const MAX_MODEL_JSON_BYTES = 16 * MIB;
/** tokenizer.json: the largest open one (262,144 ids) has 33 MB. */
export const MAX_TOKENIZER_BYTES = 64 * MIB;
/** A chat template: the longest in the field have 30,000 characters. */
export const MAX_TEMPLATE_CHARS = 256 * KIB;
/** Numbers of one `range` in a chat template, as in jinja2's sandbox; items that one operation may put in a list. Templates count messages. */
export const MAX_TEMPLATE_RANGE = 100_000;
/** Levels of brackets and tags in a chat template, and of its macros while it runs: the longest in the field nest 12. */
export const MAX_TEMPLATE_DEPTH = 100;
/**
 * Steps of a chat template: a node of it that is run, an item that is looked at, 16 characters that are made. MAX_CHAT_MESSAGES that
 * render to MAX_RENDERED_CHARS take 1.2 million with the dearest of twelve dialects. Revisit when a real one meets it.
 */
export const MAX_TEMPLATE_STEPS = 5_000_000;
/** A rendered conversation: a body of MAX_BODY_BYTES and the template's own words. */
export const MAX_RENDERED_CHARS = 4 * MIB;
/** One tensor: Llama 405B's embedding has 4.2 GB in bf16. Bounds what a manifest can make a worker allocate. */
export const MAX_TENSOR_BYTES = 8 * GIB;
/** Ranges of one file closer than this are fetched in one request: a request costs more than the bytes between. */
export const COALESCE_GAP_BYTES = 4 * KIB;
/** One ranged request at most: bounds what a broken connection repeats, and the memory a tensor waits in. */
export const MAX_RANGE_BYTES = 32 * MIB;
/** Tries for one range before the shard fails to load; back-off doubles from 250 ms. */
export const MAX_DOWNLOAD_ATTEMPTS = 4;
export const DOWNLOAD_RETRY_MS = 250;
/** Share of a shard's tensor bytes that coalescing may fetch in vain; the project promises at most 2 % in all. */
export const MAX_COALESCE_WASTE = 0.01;
/** A download that gives no byte for this long is tried again: longer than a slow disk's wake-up, shorter than LOAD_STALL_MS. */
export const DOWNLOAD_STALL_MS = 20_000;
/** Weight files of one model: Llama 405B has 191. */
export const MAX_WEIGHT_FILES = 1_024;
/** Redirects from a model hub to where a file lies: one to a renamed repository, one to storage, and room. */
export const MAX_HUB_REDIRECTS = 5;
/** Ids of one vocabulary; the largest open model has 262,144. */
export const MAX_VOCAB = 1_048_576;
/** Words whose merges a tokenizer remembers: a text repeats its words. About 3 MB when full, then emptied; longer words come once, mostly. */
export const MAX_MERGED_WORDS = 10_000;
export const MAX_MERGED_WORD_CHARS = 256;
/** Bound on layers in a config: the deepest open Llama has 126. */
export const MAX_LAYERS = 512;
/** Bound on any width in a config (hidden, intermediate): Llama 405B has 53,248. */
export const MAX_WIDTH = 131_072;

/** A model's id, the name of its directory at most: a file system allows 255 bytes, real models have under 60. */
export const MAX_MODEL_ID_CHARS = 128;
/** The path of a model's manifest or files: an id of MAX_MODEL_ID_CHARS in which every character is escaped to nine, and the query. */
export const MAX_MODEL_PATH_CHARS = 2_048;
/** A shard's manifest: ~250 B a tensor, so room for 16,000 tensors. */
export const MAX_MANIFEST_BYTES = 4 * MIB;

// — engine —————————————————————————————————————————————————————————————————————————————————————
/** Rows (tokens) of one micro-batch: bounds activation buffers and the length of one submit. */
export const MAX_BATCH_ROWS = 64;
/** Prompt positions computed in one prefill chunk: one full micro-batch. */
export const PREFILL_CHUNK_ROWS = 64;
/** Positions of one KV page: small enough to waste little, large enough to keep page tables short. */
export const KV_PAGE_POSITIONS = 32;
/** Sequences a stage holds at once; more wait at the gateway. */
export const MAX_SEQUENCES_PER_STAGE = 32;
/** Rows of a matrix are cut so that a tile fits this, or the adapter's binding limit where that is less: the default WebGPU limit, which every adapter gives. */
export const MAX_MATRIX_TILE_BYTES = 128 * MIB;
/** Weights are converted and handed to the GPU in pieces of this: bounds what a tensor costs beside its own bytes. */
export const UPLOAD_CHUNK_BYTES = 4 * MIB;
/** Weights handed to the GPU and not yet taken: writeBuffer copies, and without a pause a whole shard would wait in memory twice. */
export const MAX_STAGED_UPLOAD_BYTES = 64 * MIB;
/** Scratch for attention over KV blocks and for logits, each: larger micro-batches are computed in groups of rows. */
export const MAX_SCRATCH_BYTES = 16 * MIB;
/** Steps whose results are on their way back from the GPU. More only delay the first. */
export const MAX_STEPS_IN_FLIGHT = 3;
/** Context the gateway serves, whatever the model claims: the KV cache of a tab is small. Revisit with KV offload. */
export const MAX_CONTEXT_POSITIONS = 8_192;

// — wire ———————————————————————————————————————————————————————————————————————————————————————
/** One slice on a data channel: Chromium's SCTP releases four 1,191 B packets a burst (field measurement). */
export const MAX_SLICE_BYTES = 4_600;
/** One frame: 64 rows of hidden 16,384 in f32 are 4 MiB; with header and entries, the next power of two. */
export const MAX_FRAME_BYTES = 8 * MIB;
/** Entries (sequences) of one frame. */
export const MAX_FRAME_ENTRIES = 64;
/** Stop sending above, go on below: enough for a burst, small enough that a token does not wait behind it. */
export const HIGH_WATER_BYTES = 256 * KIB;
export const LOW_WATER_BYTES = 128 * KIB;
/** Bytes waiting in a transport's own queue before a send is refused: four of the largest frames. */
export const MAX_SEND_QUEUE_BYTES = 4 * MAX_FRAME_BYTES;
/** Bytes of whole frames that came before anyone listened: the worker listens at once, so this is a misuse, not a load. */
export const MAX_UNREAD_BYTES = 4 * MAX_FRAME_BYTES;
/** Prefill chunks a stage may have sent and not yet seen acknowledged by the next. */
export const MAX_UNACKED_CHUNKS = 4;
/** Frames waiting for a stage's engine. 32 sequences × (4 chunks + 1 token) fit. */
export const MAX_STAGE_QUEUE = 256;
/** Closed sequences a stage remembers, whose late frames it drops: many closings' worth of frames in flight. */
export const MAX_TOMBSTONES = 256;
/** Shards one worker holds or loads at once: the one that serves, its successor, and room for a burst of re-placements. */
export const MAX_HELD_SHARDS = 8;
/** Sequences that one message of a returning worker names: 16 routes of 24 stages are 48 KB of MAX_CONTROL_BYTES. */
export const MAX_RUNNING_PER_MESSAGE = 16;
/** Sequences that one worker names in all: those of MAX_HELD_SHARDS full shards, twice, as some may have ended while it was away. */
export const MAX_RUNNING_SEQUENCES = 512;
/** An epoch that a returning worker names counts up to this: eight routes for each of MAX_CONTEXT_POSITIONS tokens. Beyond, epochs could be made to end. */
export const MAX_TOLD_EPOCH = 65_536;
/** Of `--join-key`: a pass phrase fits. */
export const MAX_JOIN_KEY_CHARS = 200;
/** Rows that a worker keeps after it sent them, of all its sequences, so that a replacement of the stage behind it needs nobody else: 4 sequences of MAX_CONTEXT_POSITIONS with hidden 1,024 in f16. Beyond it the largest lose theirs, and are computed again from what comes before. */
export const MAX_KEPT_BYTES = 64 * MIB;
/** Tokens that the last stage keeps of one sequence for a server that was away: MAX_CONTEXT_POSITIONS without log probabilities, some 1,300 with 20 each. Beyond it the oldest go: a server that has missed them says so in its log, and has them computed again. */
export const MAX_PICKED_BYTES = 2 * MIB;
/** What a kept token costs, and each of its log probabilities: an object of V8 with four numbers, an array with two. */
export const PICKED_TOKEN_BYTES = 96;
export const PICKED_LOGPROB_BYTES = 72;
/** A worker closes its sequences when the server has been away for this: far longer than a restart, and an end to what nobody reads. */
export const SERVER_AWAY_MS = 600_000;
/** A worker's sign of life, from the Web Worker through the page: while it holds a shard, and while it does not. */
export const ALIVE_MS = 1_000;
export const ALIVE_IDLE_MS = 5_000;
/** The same while sequences run on it: their clients wait. */
export const ALIVE_RUNNING_MS = 500;
/** Load progress is told at most this often: a bar needs no more, and the server counts messages. */
export const PROGRESS_INTERVAL_MS = 200;
/** A serving worker reports its statistics this often. */
export const STATS_INTERVAL_MS = 1_000;
/** A link that nobody wants any more is kept this long: the next placement often names the same neighbour. */
export const LINK_LINGER_MS = 30_000;
/** Peer-to-peer liveness while sequences run over the link: ping every. 60 B each; a killed peer is noticed in LINK_SILENT_MIN_MS. */
export const LINK_PING_MS = 100;
/** The same while none do. */
export const LINK_IDLE_PING_MS = 1_000;
/** A link is silent when it has been quiet for so many times its longest recent pause: as far as a jittery link goes without a fault. */
export const LINK_SILENT_PAUSES = 4;
/** But not before this (three pings, and a garbage collection on the other side), and after this at the latest. */
export const LINK_SILENT_MIN_MS = 300;
export const LINK_SILENT_MAX_MS = 2_000;
/** Pauses older than this, or twice this, are forgotten: a link that was bad a while ago is judged as sharply as others. */
export const LINK_PAUSE_WINDOW_MS = 10_000;
/** Quiet for this: the link is down. ICE itself takes 5–15 s to notice. */
export const LINK_DEAD_MS = 5_000;
/** A link that is not open after this is retried with the next attempt number. */
export const LINK_OPEN_MS = 15_000;
export const MAX_LINK_ATTEMPTS = 4;
/** A signal that has not arrived by then is taken for lost: the server between two tabs was away. */
export const SIGNAL_LOST_MS = 2_000;
/** Back-off before a link that fell, or never came, and is still wanted is made again: from, to. The first time at once; short again once a link has held for the longest. */
export const LINK_RETRY_MIN_MS = 500;
export const LINK_RETRY_MAX_MS = 30_000;
/** Links of one peer: its neighbours on every route that may lead over it. Chromium allows 500 connections a page. */
export const MAX_LINKS = 64;
/** Of them, those that a worker is given to each of its ranges' next, and as many from who comes before; in a small room that is everybody. What a route needs is made beside them. */
export const LINKS_EACH_WAY = 8;
/** With fewer left each way, others are found for those that went: as many as may be lost while the next come up. */
export const LEAST_LINKS_EACH_WAY = 4;
/** Workers beside each stage of the route that serves that are linked to both of its neighbours, so that one may step in and no other stage has to move. */
export const STANDBY_LINKS = 3;
/** Signals kept from a peer that this one was not yet told to connect to: an offer and its ICE candidates. */
export const MAX_EARLY_SIGNALS = 64;
/** Highest attempt number of a pair of peers: a pair that failed this often needs a reload, not another try. */
export const MAX_ATTEMPT_NUMBER = 1_000;
/** One session description; ours hold a single data section and are below 2 KB before candidates. */
export const MAX_SDP_CHARS = 32 * KIB;

// — control WebSocket ——————————————————————————————————————————————————————————————————————————
/** One control message: the largest is a prompt chunk (4,096 ids of ≤ 8 characters) or an SDP (at most MAX_SDP_CHARS). */
export const MAX_CONTROL_BYTES = 64 * KIB;
/** Prompt ids in one control message, so that it fits MAX_CONTROL_BYTES. */
export const MAX_PROMPT_IDS_PER_MESSAGE = 4_096;
/** Tokens in one control message: of one micro-batch (MAX_BATCH_ROWS), or told again; with log probabilities fewer fit MAX_CONTROL_BYTES. */
export const MAX_TOKENS_PER_MESSAGE = 1_024;
/** Bytes waiting for one slow WebSocket before it is closed. */
export const MAX_CONTROL_BACKLOG_BYTES = 4 * MIB;
/** Liveness of a control connection: ping every, silent for → closed. A hidden tab's timers fire once a second. */
export const CONTROL_PING_MS = 10_000;
export const CONTROL_DEAD_MS = 25_000;
/** A worker whose socket closed is itself again if it returns within this; the server may be away for longer, and then knows nobody. */
export const PEER_RETURN_MS = 30_000;
/** The same where every worker's socket has closed, which is rather the network of the server, or a proxy before it. */
export const ALL_RETURN_MS = 90_000;
/** After that, those that are not back are missed only so long after the first: RECONNECT_RUNNING_MAX_MS, and a slow handshake. */
export const ALL_RETURN_GRACE_MS = 5_000;
/** Token bucket per connection: a busy last stage sends one message a micro-batch, and a returning one MAX_TOKENS_PER_MESSAGE tokens in each. */
export const CONTROL_MESSAGES_PER_SECOND = 2_000;
export const CONTROL_BURST = 4_000;
/** And in bytes, before any of them is parsed: a busy last stage with log probabilities sends ~700 KB a second, a returning one all that runs on it. */
export const CONTROL_BYTES_PER_SECOND = 2 * MIB;
export const CONTROL_BURST_BYTES = 8 * MIB;
/** The same for signals, which are relayed to a neighbour: a link takes an offer and up to ~20 candidates a try. */
export const SIGNALS_PER_SECOND = 20;
export const SIGNAL_BURST = 500;
/** The same for `join`, `leave` and `drain`, after each of which the whole mesh is looked at: a tab says one when its connection, its device or its wish changes. */
export const STATE_CHANGES_PER_SECOND = 2;
export const STATE_CHANGE_BURST = 40;
/** And for `link`: a worker answers each list of its links with how all of them are, MAX_LINKS at most. */
export const LINK_REPORTS_PER_SECOND = 100;
export const LINK_REPORT_BURST = 2_000;
/** With more waiting for a WebSocket, signals to it are dropped: neighbours must not be able to close it. A lost signal costs one link attempt. */
export const MAX_SIGNAL_BACKLOG_BYTES = 1 * MIB;
/** Workers of one server: simulated, ten thousand take a third of a core and 20 KiB of heap each, and none is given up that speaks (docs/SIMULATION.md); with their sockets some 40 KiB each (bench/RESULTS.md, up to six thousand). With as many, idle ones of the address that has most give way to one of an address that has fewer. */
export const MAX_WORKERS = 10_000;
/** Connections that have not joined, or not said hello: a worker's is one of them for a second. Beyond, the oldest of the address that has most gives way. */
export const MAX_SPECTATORS = 4_096;
/** Of them, those of one address: a school behind one router that joins at once. */
export const MAX_SPECTATORS_PER_ADDRESS = 256;
/** A connection that has not joined by then is closed: whoever comes to join has its capability at hand. */
export const SPECTATOR_MS = 60_000;
/** A wrong join key is answered after this, so that a pass phrase cannot be guessed by trying: MAX_SPECTATORS_PER_ADDRESS tries a second are 256. */
export const JOIN_REFUSAL_MS = 1_000;
/** Of `--join-key` at least: with fewer characters the delay above would not help. */
export const MIN_JOIN_KEY_CHARS = 8;
/** TURN credentials hold so long (draft-uberti-behave-turn-rest-00 proposes a day): what leaks is of no use the next day. */
export const TURN_CREDENTIAL_MS = 3_600_000;
/** And up to this much longer: within it a worker's are the same, however often it asks, so that the relay can count what is its. */
export const TURN_ROUNDING_MS = 900_000;
/** Back-off of a client that lost the server: from, to. */
export const RECONNECT_MIN_MS = 250;
export const RECONNECT_MAX_MS = 10_000;
/** The same while sequences run on the tab: their clients wait, and a server that was killed is often back within seconds. */
export const RECONNECT_RUNNING_MAX_MS = 2_000;
/** A connection that is not welcomed by then is given up and tried anew: a network that swallows everything is noticed by a browser after minutes. */
export const CONNECT_DEADLINE_MS = 10_000;
/** A worker that is asked to stop gives its sequences so long to move to others; then it leaves all the same. As DRAIN_TIMEOUT_SECONDS of a server. */
export const WORKER_DRAIN_MS = 30_000;
/** The same where nothing runs: the server only has to hear of it before the next sequence is given a route. */
export const IDLE_DRAIN_MS = 2_000;

// — gateway ————————————————————————————————————————————————————————————————————————————————————
/** A request's body where only the native engine answers, which takes no images: 8,192 positions of text are ~40 KB. */
export const MAX_BODY_BYTES = 1 * MIB;
/** The same where a proxy or a provider of a whole model may answer, which may take images: a few photos in base64. */
export const MAX_PROXY_BODY_BYTES = 32 * MIB;
/** Levels of a request body's lists and objects; schemas of tools and answers have some twenty. Recursive code ends at several thousand. */
export const MAX_JSON_DEPTH = 128;
/** Values in a request body where only the native engine answers: the token ids of MAX_CHOICES prompts that fill MAX_CONTEXT_POSITIONS, twice. */
export const MAX_JSON_VALUES = 131_072;
/** The same where a proxy or a provider of a whole model may answer: a prompt of a million token ids is the largest that means something. Parsed in 20 to 40 ms (a core of an AMD EPYC, as all times of bodies here; tools/measure-bounds.ts). */
export const MAX_PROXY_JSON_VALUES = 1_050_000;
/** Lists and objects of a request body: MAX_REQUEST_PARTS and the schemas of MAX_TOOLS tools are some 12,000. Each with a name of its own takes the parser a microsecond. */
export const MAX_JSON_CONTAINERS = 16_384;
/** Names of values in the objects of a request body: two for each list and object of a real one. So many that are all different are parsed in some 10 to 25 ms; 131,072 took 70 to 90. */
export const MAX_JSON_NAMES = 32_768;
/** Texts of a request body, names included: those of messages, parts and tools are fewer than 40,000. A million, all different, took the parser 360 to 500 ms. */
export const MAX_JSON_TEXTS = 65_536;
/** So much of a request body is looked at in one go, a millisecond or two; then others get a turn. */
export const JSON_SLICE_BYTES = 256 * KIB;
/** Parameters of a request, options of an Ollama's, names for a chat template, keys of a message: all that are known are 80, and each unknown one costs two to five microseconds. */
export const MAX_REQUEST_PARAMETERS = 1_024;
/** Keys of all messages of a request: clients that keep their own beside the text have a dozen in each of MAX_CHAT_MESSAGES. */
export const MAX_MESSAGE_KEYS = 16_384;
/** Content parts, images and tool calls of all messages of a request: four for each of MAX_CHAT_MESSAGES. */
export const MAX_REQUEST_PARTS = 4_096;
/** Tools of one request: OpenAI takes 128. */
export const MAX_REQUEST_TOOLS = 1_024;
/** Answers (n for each prompt) that run on the mesh or wait for it; beyond them the client with the most gives way, or the newcomer gets 429. */
export const MAX_CONCURRENT_REQUESTS = 64;
/** Requests at the mesh at once, those included that are about to be refused: many more than it takes, so that their clients' turns decide and not who came first. */
export const MAX_MESH_REQUESTS = 1_024;
/** A prompt becomes ids within this, template and all, once a thread has it: twice the text of a full context took 90 to 700 ms on two busy cores (tools/measure-bounds.ts prints a core's time). */
export const PROMPT_JOB_MS = 5_000;
/** Threads that read prompts, each with the tokenizer's tables (the process grew by 165 and 187 MiB with the first and the second for 150,000 made-up tokens, by 42 and 105 for 2,048; tools/measure-bounds.ts): one for what comes, one so that small prompts need not wait for large ones. More would take cores from the engine; with fewer a small prompt waits for a large one, PROMPT_JOB_MS at most. */
export const PROMPT_THREADS = 2;
/** Prompts up to so many characters are small: twice the text that fills MAX_CONTEXT_POSITIONS. */
export const MAX_SMALL_PROMPT_CHARS = 64 * KIB;
/** Prompts that wait for a thread, MAX_RENDERED_CHARS each at most. */
export const MAX_WAITING_JOBS = 64;
/** A worker thread has read its files by then: the largest tokenizer.json takes some seconds. */
export const THREAD_START_MS = 120_000;
/** Stop strings of one request, and the length of each: what may be the start of one is held back from the stream. */
export const MAX_STOP_STRINGS = 16;
export const MAX_STOP_CHARS = 256;
/** No token for this long, or for less where its workers were quick before: the sequence is moved to another route, or restarted on the same. Software adapters are slow. */
export const TOKEN_DEADLINE_MS = 60_000;
/** A sequence is restarted at most this often without a new token before the client gets an error. */
export const MAX_RESTARTS = 8;
/** A sequence without a route, or without room on one, waits this long before the client gets an error. */
export const PIPELINE_WAIT_MS = 120_000;
/** A link that is gone is made again at once, in a third of this on one network: until then nobody is blamed and nothing is placed for it. */
export const LINK_GRACE_MS = 1_000;
/** After a server's restart workers come back one by one with what they hold: nothing is placed anew for so long where it may still become whole. */
export const RETURN_WAIT_MS = 10_000;
/** The same where nobody who is back hears anybody who is not: then only who had no link may be missing. */
export const RETURN_REST_MS = 2_000;
/** So long after its start a server without `--state` believes workers that hold what another server asked for: it cannot tell. */
export const UNRECEIPTED_CLAIM_MS = 120_000;
/** Of the proof that a server asked for a shard. */
export const MAX_RECEIPT_CHARS = 64;
/** Workers that hold each layer, where memory allows: one may vanish and its neighbours go on at once. More cost every joining worker a load. */
export const DEFAULT_REPLICAS = 2;
/** More copies of each layer than an operator may wish for: each is a download, and a link to every neighbour's copies. */
export const MAX_REPLICAS = 64;
/** Up to so many workers, whatever changes in a mesh settles all the rest of it at once ... */
export const SETTLE_AT_ONCE_WORKERS = 64;
/** ... of more, so long after the last time for each worker: at ten thousand five times a second, each some milliseconds of work. A loss is told to answers at once all the same. */
export const SETTLE_REST_MS_A_WORKER = 0.02;
/** Workers come in bursts: placement waits this long for the next before it acts. */
export const PLACEMENT_DEBOUNCE_MS = 300;
/** The same for each worker of a mesh that serves, where that is longer: at a thousand 300 ms, at ten thousand three seconds. */
export const PLACEMENT_REST_MS_A_WORKER = 0.3;
/** Holdings around a newcomer among which a way for its probe is looked for: a few hops of LINKS_EACH_WAY. */
export const PROBE_NEIGHBOURS = 96;
/** A worker that was given layers must be ready, or report progress, within this. */
export const LOAD_STALL_MS = 120_000;

/** Loading slower than this is not waited for: a shard of 1 GB takes 70 minutes. Revisit when someone lends from behind a slower line. */
export const LEAST_LOAD_BYTES_PER_SECOND = 256 * KIB;
/** Added to a load's absolute deadline: connecting, checking hashes and compiling shaders on a slow machine. */
export const LOAD_SETUP_MS = 300_000;
/** A load that moved less than LEAST_LOAD_BYTES_PER_SECOND for so long is raced by a worker that can load the same. */
export const LOAD_LAG_MS = 15_000;

// — API requests and answers ———————————————————————————————————————————————————————————————————
/** Messages of one chat: with ~4 positions of template each, 1,024 fill half of MAX_CONTEXT_POSITIONS before any text. */
export const MAX_CHAT_MESSAGES = 1_024;
/** Content parts of one message; clients send one to a few. */
export const MAX_CONTENT_PARTS = 64;
/** A model's name in a request, an alias or an answer. */
export const MAX_MODEL_NAME_CHARS = 256;
/** Of a parameter's name or value in an error, a warning or a log: real names have 30. Revisit when an API has longer ones. */
export const MAX_SHOWN_PARAMETER_CHARS = 64;
/** Unknown parameters that one warning names: it is a header, and 16 of 64 characters are 1 KB of the 8 that proxies take. */
export const MAX_TOLD_PARAMETERS = 16;
/** A comment on a silent event stream this often: common proxies drop a connection that is idle for 30–60 s. */
export const SSE_KEEPALIVE_MS = 10_000;
/** A stream that fails within this still gets a real HTTP status; after it the answer is 200 and carries an error event. */
export const STREAM_COMMIT_MS = 1_000;
/** Entries of `logit_bias`: vLLM's bound. Each is ~30 B of the message that opens a sequence (MAX_CONTROL_BYTES). */
export const MAX_LOGIT_BIAS = 1_024;
/** `top_logprobs` of a chat (OpenAI's bound), and `logprobs` of a completion (OpenAI's older bound). */
export const MAX_TOP_LOGPROBS = 20;
export const MAX_COMPLETION_LOGPROBS = 5;
/** Choices of one request, `n` for each prompt: each is a sequence, and all of them are a quarter of MAX_SEQUENCES_PER_STAGE. */
export const MAX_CHOICES = 8;
/** Completions without max_tokens: OpenAI's and vLLM's default. Chats default to the rest of the context, like vLLM. */
export const DEFAULT_COMPLETION_TOKENS = 16;

// — proxy backends —————————————————————————————————————————————————————————————————————————————
/** Models of one Ollama whose details are asked for: most have fewer. Revisit when clients miss the details of one. */
export const MAX_DESCRIBED_MODELS = 64;
/** A list of an Ollama's models waits so long for what it does not know of them yet: each is asked once, and answers in milliseconds. */
export const OLLAMA_DESCRIBE_MS = 1_000;
/** Until the connection to the backend stands: a name that resolves and a port that answers take far less. */
export const UPSTREAM_CONNECT_MS = 10_000;
/** Until a stream's first event; prompt processing on a busy server takes many seconds. */
export const UPSTREAM_HEADERS_MS = 120_000;
/** The same without `stream`, at least: the headers come after the whole answer. Its body then has as long again. */
export const UPSTREAM_ANSWER_MS = 300_000;
/** Silence within a body after which the backend counts as stalled. */
export const UPSTREAM_IDLE_MS = 60_000;
/** Health and model list: a person or a probe waits for them. */
export const UPSTREAM_PROBE_MS = 5_000;
/** After a stream's last event the end of its body is awaited, so that the connection can serve the next request: this long, this much. */
export const UPSTREAM_DRAIN_MS = 1_000;
export const MAX_UPSTREAM_DRAIN_BYTES = 4 * KIB;
/** Connections to one backend at once: four thousand streams. Above it requests wait, which their first-byte deadline bounds. */
export const MAX_UPSTREAM_CONNECTIONS = 4_096;
/** The text of a backend's error that is repeated to the client: a sentence, not a stack trace or a page. */
export const MAX_UPSTREAM_ERROR_CHARS = 1_000;
/** A whole answer that is not a stream; 128k tokens with log probabilities stay below. */
export const MAX_UPSTREAM_BODY_BYTES = 16 * MIB;
/** One server-sent event of the backend, or one line of Ollama's, held while its model name is mapped. */
export const MAX_UPSTREAM_EVENT_BYTES = 1 * MIB;
/** `num_ctx` that a client may ask an Ollama for, which allocates it: the longest context of open models. */
export const MAX_OLLAMA_CONTEXT = 1_048_576;
/** Functions in `tools`: OpenAI's bound. */
export const MAX_TOOLS = 128;

// — whole-model providers ——————————————————————————————————————————————————————————————————————
/** Providers of one server; every model list and routing decision looks at each. Revisit when someone has more. */
export const MAX_PROVIDERS = 64;
/** One message of a provider: an offer of MAX_PROVIDED_MODELS names, or a chunk of PROVIDE_CHUNK_BYTES, of which JSON may escape every byte to six. */
export const MAX_PROVIDER_MESSAGE_BYTES = 512 * KIB;
/** One message to a provider: a request of MAX_PROXY_BODY_BYTES, and room for numbers that are longer when they are written anew. */
export const MAX_PROVIDE_REQUEST_BYTES = MAX_PROXY_BODY_BYTES + 1 * MIB;
/** Requests may wait in the socket to a provider up to this; then it counts as failed and another node is tried. */
export const MAX_PROVIDE_BACKLOG_BYTES = 2 * MAX_PROXY_BODY_BYTES;
/** Answer text in one message. A token is one message anyway; this bounds whole answers' pieces. */
export const PROVIDE_CHUNK_BYTES = 32 * KIB;
/** What a provider may have sent of one answer and the client not yet read: seconds of the fastest answers, and 64 MiB of 1,000 that nobody reads. */
export const PROVIDE_WINDOW_BYTES = 64 * KIB;
/** Models of one provider; an Ollama with many has dozens. */
export const MAX_PROVIDED_MODELS = 512;
/** A provider lists its models anew this often, so that a pulled model is offered and a dead backend is not. */
export const PROVIDE_REFRESH_MS = 60_000;
/** The same after a failed list: a backend that was started after its provider should not wait a minute. */
export const PROVIDE_RETRY_MS = 5_000;
/** A provider that has not begun an answer by then is broken: its own time limits end sooner, MAX_TIMEOUT_SECONDS at most. */
export const PROVIDED_HEAD_MS = 3_660_000;
/** Silence within an answer that the client waits for; a provider sends comments every SSE_KEEPALIVE_MS, a hidden tab every minute. */
export const PROVIDED_IDLE_MS = 150_000;

// — routing between nodes ——————————————————————————————————————————————————————————————————————
/** Nodes that one request is tried on: a request that three refuse is most likely at fault itself. */
export const MAX_ROUTE_ATTEMPTS = 3;
/** After this no further node is tried: one whole stall (UPSTREAM_HEADERS_MS) and a busy moment fit. */
export const ROUTE_DEADLINE_MS = 150_000;
/** Pause before the next node is tried, doubling, half of it chance: a fault that all nodes share must not become a burst. */
export const ROUTE_BACKOFF_MS = 50;
/** Failures in a row that open a node's circuit breaker; Envoy's default for its outlier detection. */
export const BREAKER_FAILURES = 5;
/** Or this share of failures among the last outcomes, once there are enough of them to speak of a share. */
export const BREAKER_FAILURE_SHARE = 0.5;
export const BREAKER_MIN_OUTCOMES = 10;
export const BREAKER_WINDOW_OUTCOMES = 20;
/** Outcomes older than this say nothing about a node's health now. */
export const BREAKER_WINDOW_MS = 60_000;
/** An open breaker admits a trial after: from, doubling with every trial that failed, to. */
export const BREAKER_BACKOFF_MIN_MS = 1_000;
export const BREAKER_BACKOFF_MAX_MS = 30_000;
/** A trial that has not begun to answer by then no longer keeps others away: whole answers take minutes, first events of a stream seconds. */
export const BREAKER_TRIAL_MS = 10_000;
/** A node that is failing or not ready is asked this often whether it is back; each question ends by UPSTREAM_PROBE_MS. */
export const NODE_PROBE_MS = 2_000;
/** What a node said about its readiness and its models is believed so long without asking again. */
export const NODE_FRESH_MS = 5_000;
/** A list of models that is older is refreshed while it is still used; one that answers needs no other sign of life. */
export const NODE_MODELS_MS = 60_000;
/** A list of models waits this long for nodes whose last list is at hand. */
export const NODE_MODELS_WAIT_MS = 1_000;
/** Models of one node that are remembered: what a large Ollama holds, times ten. */
export const MAX_NODE_MODELS = 1_024;
/** Workers in `GET /api/status` beside those of the pipelines, and rows of who holds which layers: the rest is counted. A page shows twelve. */
export const MAX_STATUS_WORKERS = 48;
/** Of a mesh of more than SETTLE_AT_ONCE_WORKERS, a status that is no older answers whoever asks: every tab does. */
export const STATUS_FRESH_MS = 500;
/** A page asks for it once a second up to so many workers, and the more there are the more rarely: the server answers some three hundred a second however many there are. */
export const STATUS_POLL_WORKERS = 300;
/** Models of one node in `GET /api/status`, which pages poll once a second. */
export const MAX_STATUS_MODELS = 16;
/** A node's last error there: a sentence or two. */
export const MAX_NODE_ERROR_CHARS = 300;
/** Longest that a node's Retry-After keeps requests from it: one that says "tomorrow" is tried again all the same. */
export const NODE_BUSY_MAX_MS = 60_000;
/** A new measurement's weight in a node's speed: about the last ten requests count. */
export const NODE_SPEED_WEIGHT = 0.2;
/** A node that was slow is believed half of it after so long without a request: a model that was loading is tried again within minutes. */
export const NODE_SPEED_HALF_LIFE_MS = 30_000;

// — configuration ——————————————————————————————————————————————————————————————————————————————
/** model_backend.yaml; the template with all its comments is 1 KB. */
export const MAX_CONFIG_BYTES = 64 * KIB;
/** Values read of one file, those behind an alias each time: what MAX_CONFIG_BYTES hold without aliases fits, and a few lines with them could stand for millions. */
export const MAX_CONFIG_VALUES = 32 * 1024;
/** Nodes of one model_backend.yaml; each is probed. Revisit when someone has more. */
export const MAX_NODES = 64;
/** Requests at once that a proxied node gets where the file says nothing: its own queue knows better than a guess made here. */
export const DEFAULT_NODE_CONCURRENT = 1_024;
/** The most that `max_concurrent` may say: each open stream is two sockets and its buffers. */
export const MAX_NODE_CONCURRENT = 4_096;
/** Entries of `allow_addresses`: every connection is checked against all of them. */
export const MAX_ALLOW_ADDRESSES = 256;
/** The longest of `timeout_seconds`: an hour without a byte is a broken backend. */
export const MAX_TIMEOUT_SECONDS = 3_600;

// — server —————————————————————————————————————————————————————————————————————————————————————
/** A connection that has not said `hello` by then is closed. */
export const HELLO_DEADLINE_MS = 10_000;
/** Refused messages of one connection before it is closed: a client with a bug gets to read what is wrong. */
export const MAX_PROTOCOL_OFFENCES = 8;
/** Stages answer `open` at once, between two micro-batches; one that has not by then is left out for a while. */
export const OPEN_DEADLINE_MS = 20_000;
/** Added to TOKEN_DEADLINE_MS for the first token, for each position that the route's stages have to prefill, of all sequences, or SLOW_FACTOR times what a stage says that it takes, where that is less: 20 positions/s is a slow software adapter. */
export const PREFILL_MS_PER_POSITION = 50;
/** A worker that failed gets no layers for this long; doubles with every failure, to the maximum. */
export const WORKER_BACKOFF_MIN_MS = 5_000;
export const WORKER_BACKOFF_MAX_MS = 300_000;
/** With `expectWorkers`: the server places without the missing ones after this. */
export const EXPECT_WORKERS_MS = 120_000;
/** Several sockets close together when a browser ends: one new placement for all of them. */
export const DEPARTURE_DEBOUNCE_MS = 20;
/** A stage without room is asked again after this, or when a sequence has left it. */
export const CAPACITY_RETRY_MS = 1_000;
/** Failures in a row, without a token between, after which a worker that reports them, or a route that falls silent, is taken out: one may be chance. */
export const MAX_STRIKES = 2;
/** Of a peer's name, in UTF-16 units. */
export const MAX_PEER_NAME_CHARS = 64;
/** Of a worker's own words, in UTF-16 units: enough for an error, and no log full of them. */
export const MAX_LOGGED_WORDS = 300;
/** Left out on suspicion (one end of a link that does not open, a stage of a route that is silent), unless the rest cannot serve: longer than four link attempts or MAX_STRIKES token deadlines, so that the rest can prove itself. */
export const SUSPICION_MS = 240_000;
/**
 * Losses of workers that an answer, and the status, name: the newest. A long answer that outlives so many is told their number
 * all the same. Revisit when a mesh has more volunteers than a line of text has room for.
 */
export const MAX_LOSSES_TOLD = 16;
/** After a restart of the server, its running sequences wait this long for the first worker to be back: with nobody there they could not go on anyway. */
export const ADOPT_WAIT_MS = 15_000;
/** And from then on for all their stages, unless it is known that one does not come: a try of RECONNECT_RUNNING_MAX_MS and room. Who comes later has kept what it holds. */
export const ADOPT_REST_MS = 3_000;
/** Pause before a sequence is started again on the route that failed it, times the restarts so far. */
export const RESTART_PAUSE_MS = 100;
/** All files of the built page, which the server keeps in memory; the build has 1 MB. */
export const MAX_PAGE_BYTES = 64 * MIB;
/** A browser may keep the answer to a preflight so long; restarts with other --allow-origin are rare. */
export const CORS_MAX_AGE_SECONDS = 600;
/** What a client that got 429 is told to wait: a short answer's time. */
export const RETRY_AFTER_SECONDS = 2;
/** What a client is told to wait that asked while the server shuts down: the start of the next one. */
export const SHUTDOWN_RETRY_AFTER_SECONDS = 5;
/** What was served before a change of configuration may finish its answers so long: longer than the longest answer should take, and an end to two models in memory. */
export const RETIRED_NODE_MS = 1_800_000;
/** An answer that is cut off gets to say so, and the last bytes get to leave, before sockets are closed. */
export const LAST_WORDS_MS = 1_000;
/** `--drain-timeout`'s default, in seconds: most answers are over by then. An orchestrator must wait longer before it kills (Kubernetes: terminationGracePeriodSeconds above it). */
export const DRAIN_TIMEOUT_SECONDS = 30;
/** `--drain-timeout` at most, in seconds: a day. */
export const MAX_DRAIN_TIMEOUT_SECONDS = 86_400;
/** Two stop signals within this are one: on Ctrl-C the terminal tells the command, and npm tells it again. */
export const REPEATED_SIGNAL_MS = 500;
/** After a write to model_backend.yaml it is read when it has been left alone for this: writers write in several steps. */
export const CONFIG_SETTLE_MS = 200;
/** model_backend.yaml is looked at this often besides, for file systems that tell of no change (network mounts, symlinks to elsewhere). */
export const CONFIG_POLL_MS = 2_000;
/** A client sends its headers within this, else 408 (slow-loris); they are a few packets. */
export const HTTP_HEADERS_MS = 15_000;
/** Headers and body within this, else 408: MAX_PROXY_BODY_BYTES at 280 KB/s. Answers are not bounded by it. */
export const HTTP_REQUEST_MS = 120_000;
/** Node looks for connections that are over their time this often. */
export const HTTP_CHECK_MS = 5_000;
/** An idle connection is kept for the next request: longer than the 60 s of common reverse proxies, which would else meet a closed one. */
export const HTTP_KEEP_ALIVE_MS = 75_000;
/** Request line and headers of one request: Node's own bound; browsers and OpenAI's client send 2 KB. */
export const MAX_HEADER_BYTES = 16 * KIB;
/** Connections at once, WebSockets included: each tab of MAX_WORKERS has another one, kept for the status that it asks for, and MAX_SPECTATORS, a thousand streams and their pages fit beside. What comes beyond is closed at once. Each takes a file descriptor. */
export const MAX_CONNECTIONS = 32_768;

// — workers' health ————————————————————————————————————————————————————————————————————————————
/** A worker that holds a shard says so every second; not heard for so long it gets no layers and no new sequences until it has spoken. Three missed signs. */
export const LIVENESS_SILENT_MS = 3_000;
/** The same for one on which sequences run, which speaks twice a second: four missed signs. Where no neighbour hears it either, what runs through it goes on elsewhere. */
export const LIVENESS_RUNNING_SILENT_MS = 2_000;
/** The same for one that holds nothing, which speaks every five seconds: two missed signs and room. */
export const LIVENESS_IDLE_SILENT_MS = 12_000;
/** A newcomer is believed after a probe whose token was the right one, or after so many tokens on routes that served: a short answer. */
export const TRUSTED_TOKENS = 16;
/** The first back-off of a worker that did what no working one does, such as a token beyond the vocabulary; it doubles like others. */
export const MISBEHAVED_BACKOFF_MS = 60_000;
/** What a worker has served counts half after so long: who served last week and fails today is not above who serves now. */
export const SERVED_HALF_LIFE_MS = 600_000;
/** Reports of bad links older than this say nothing together with a new one; links that fail for one cause are reported within seconds. */
export const LINK_REPORT_MS = 60_000;
/** A report of a link that was judged less than this ago is the other end's, of the same failure. */
export const LINK_ECHO_MS = 10_000;
/** Beside a route that serves, probes of newcomers begin so far apart: each takes a few tokens' time of the stages that they share with clients, twice where another route computes the same. */
export const PROBE_GAP_MS = 200;
/** A probe that gave nothing is tried again after: from, doubling, to. The first may have met a stage that compiles or was full. */
export const PROBE_RETRY_MS = 1_000;
export const PROBE_RETRY_MAX_MS = 30_000;
/** Two peers whose link failed are not made neighbours again for so long, where others can be: long enough for a network to change, short enough to try once more. */
export const LINK_AVOID_MS = 240_000;
/** A worker is slow, not merely busy, at so many times what it says it takes. */
export const SLOW_FACTOR = 10;
/** And only where that cost a token at least so much: a small model on a busy machine waits for the processor many times as long as it computes. */
export const SLOW_ROUND_MS = 1_000;
/** Wait beyond SLOW_FACTOR, added up over the tokens of routes with the worker, after which it counts as a stall. */
export const SLOW_EXCESS_MS = 10_000;
/** Rounds that a worker's speed is read from: the best of them counts, as the others were held up by somebody else. */
export const SPEED_ROUNDS = 16;
/** The next token of a route is waited for so many times the 99th percentile of its workers' last PATIENCE_ROUNDS rounds, or SLOW_FACTOR times what they say, ... */
export const ROUND_PATIENCE = 4;
export const PATIENCE_ROUNDS = 128;
/** ... at least so long, as a busy machine pauses for seconds, and never longer than TOKEN_DEADLINE_MS. */
export const MIN_PATIENCE_MS = 5_000;
/** The same on a route with a worker of which too few rounds were seen: it may compile shaders yet. */
export const UNMEASURED_PATIENCE_MS = 15_000;
/** Workers that are gone, and addresses, whose failures are remembered; the one that was seen longest ago is forgotten first. ~200 B each. */
export const MAX_REMEMBERED_WORKERS = 4_096;
/** No failure outlives this: the longest back-off, and the suspicion after it. */
export const FAILURE_MEMORY_MS = 600_000;

// — access —————————————————————————————————————————————————————————————————————————————————————
/** Keys of one file, each compared with every key that a client presents. Revisit when someone gives out more. */
export const MAX_API_KEYS = 1_000;
/** api_keys.json: ~250 B a key. */
export const MAX_KEY_FILE_BYTES = 512 * KIB;
/** A key as a client presents it; ours have 52 characters. What is longer is refused before it is hashed. */
export const MAX_API_KEY_CHARS = 256;
/** The key file is looked at this often at most, when a request comes: a removed key works no longer than this. */
export const KEY_FILE_RECHECK_MS = 1_000;
/** A client may send a full minute's requests at once; five a second is more than people and agents do, less than a flood. */
export const DEFAULT_REQUESTS_PER_MINUTE = 300;
/** Answers of one client at once, n for each prompt: half of MAX_CONCURRENT_REQUESTS, so that nobody alone fills the mesh. */
export const DEFAULT_CONCURRENT_PER_CLIENT = 32;
/** Requests a minute that a flag or a key may allow. */
export const MAX_REQUESTS_PER_MINUTE = 1_000_000;
/** Answers at once that a flag or a key may allow. */
export const MAX_CONCURRENT_PER_CLIENT = 10_000;
/** Refused keys a minute and address: enough to see a wrong setting, too few to load the server. A valid key is not held up by them. */
export const REFUSED_KEYS_PER_MINUTE = 60;
/** Clients whose request rate is remembered, ~200 B each; the one that was silent longest is forgotten first. */
export const MAX_RATED_CLIENTS = 10_000;
/** Reverse proxies before this server, each of which adds one address to X-Forwarded-For. */
export const MAX_TRUSTED_PROXIES = 8;
/** A client's own x-request-id; UUIDs and trace ids have under 64. Goes into the log. */
export const MAX_REQUEST_ID_CHARS = 128;

// — answers that are kept ——————————————————————————————————————————————————————————————————————
/** An Idempotency-Key; UUIDs have 36. Stripe's bound, which clients know. */
export const MAX_IDEMPOTENCY_KEY_CHARS = 255;
/** An answer with an Idempotency-Key goes on for so long while nobody reads it: a phone's way through a tunnel, a server's restart. Then it is ended: who left for good must not keep the mesh busy. */
export const ANSWER_LINGER_MS = 60_000;
/** A whole answer is kept for so long after its end, for who asks again. */
export const ANSWER_KEPT_MS = 600_000;
/** Of one answer's events: 16,000 tokens of a chat, some 500 bytes each with what keeping it costs. A longer answer lets go of its oldest events once they are read. */
export const MAX_ANSWER_LOG_BYTES = 8 * MIB;
/** Of all kept answers, and of one client's: answers that have ended make room, the oldest first. */
export const MAX_KEPT_ANSWER_BYTES = 128 * MIB;
export const MAX_KEPT_ANSWER_BYTES_PER_CLIENT = 32 * MIB;
/** Kept answers, and those of one client, running ones included: ten minutes of a busy server. */
export const MAX_KEPT_ANSWERS = 4_096;
export const MAX_KEPT_ANSWERS_PER_CLIENT = 512;
/** What an event costs besides its bytes: a buffer's object and a place in a map, as Node.js 22 has them. */
export const KEPT_EVENT_OVERHEAD_BYTES = 256;
/** A stored answer: request, prompt ids and a log of MAX_ANSWER_LOG_BYTES. What is larger is kept in memory alone. */
export const MAX_STORED_ANSWER_BYTES = 16 * MIB;
/** An answer that ran when the server ended is taken up again if it began no longer ago. */
export const MAX_STORED_ANSWER_AGE_MS = 3_600_000;
/** Who has a state directory moves its lock's time so often; a lock that stood still for so long is one of a server that was killed. */
export const STATE_LOCK_BEAT_MS = 1_000;
export const STATE_LOCK_STALE_MS = 10_000;
/** SHOAL_STATE_KEY, from which the key of stored answers is made: as long as 128 random bits in hex. */
export const MIN_STATE_KEY_CHARS = 32;
/** Connections that read one answer at once: the one that broke and was not noticed yet, the next, and room. */
export const MAX_ANSWER_READERS = 4;

// — metrics ————————————————————————————————————————————————————————————————————————————————————
/** Model names that are labels, each of ~130 series; further ones count as "other". */
export const MAX_MODEL_LABELS = 64;
/** The backend is asked for its model names this often at most, when a scrape or an unknown name asks for them. */
export const MODEL_LABELS_REFRESH_MS = 10_000;

// — chat of the page ———————————————————————————————————————————————————————————————————————————
/** A chat that a reload brings back, the oldest turns first left out. Browsers give an origin 5 MB, 2 bytes a character. */
export const MAX_STORED_CHAT_CHARS = 1_000_000;
/** A run without a space, or of spaces alone, in a block of Markdown; longer ones are shown as plain text. Takes 0.1 s to read. */
export const MAX_MARKDOWN_RUN_CHARS = 4_000;
/** What a screen reader is told of an answer at once; the rest stands in the log. A minute of speech. */
export const MAX_SPOKEN_CHARS = 1_000;
/** Stars and underscores of one block of an answer that are looked at as emphasis; further ones are text. Each costs a walk through the block. Revisit when a real answer meets it. */
export const MAX_MARKDOWN_EMPHASIS = 1_000;

// — command line ———————————————————————————————————————————————————————————————————————————————
/** Log lines that a full disk does not take are kept for when it does again: the last few thousand. */
export const MAX_UNWRITTEN_LOG_BYTES = MIB;
/** Lines of earlier chats that the arrow keys bring back: what shells keep by default. */
export const MAX_CHAT_HISTORY_LINES = 1_000;
/** The same in characters, so that pasted pages do not make it large. */
export const MAX_CHAT_HISTORY_CHARS = 256 * KIB;
/** A worker whose server stays away says so again after this long: often enough for who looks, rare enough for a log. */
export const REMIND_MS = 30_000;

// — headless workers ———————————————————————————————————————————————————————————————————————————
/** A crashed tab or browser starts again after: from, doubling, to. A model that crashes its tab must not spin the CPU. */
export const BROWSER_RESTART_MIN_MS = 500;
export const BROWSER_RESTART_MAX_MS = 30_000;
/** What ran this long was healthy: its next restart is quick again. */
export const BROWSER_STABLE_MS = 60_000;
/** Tabs of one headless browser; each is a process and a GPU device. Revisit when one machine feeds more. */
export const MAX_TABS = 32;
/** A browser that has not started, or a page that has not loaded, by then never will. Slow disks and 2 cores fit. */
export const BROWSER_START_MS = 60_000;
/** A Chrome that did not start is started once more only to hear why; one that starts after all ends in a second. */
export const FAILED_START_MS = 15_000;
/** Chrome's socket is `<TMPDIR>/.org.chromium.Chromium.XXXXXX/SingletonSocket`; such paths end at 103 bytes on macOS, 107 on Linux. */
export const MAX_TMPDIR_BYTES = 56;
/** Time for saying goodbye on exit before what is left is killed. */
export const SHUTDOWN_MS = 5_000;
/** `npm start` gives its workers this long to serve; downloads of large models report progress meanwhile. */
export const UP_DEADLINE_MS = 600_000;
