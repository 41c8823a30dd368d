/** A reader of Prometheus' text format 0.0.4 as strict as `promtool check metrics`, for tests. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;

/** @throws Error that names the line which no scraper would take, or which breaks a naming rule */
export function readExposition(text: string): Sample[] {
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  const helped = new Set<string>();
  const seen = new Set<string>();
  let family = '';
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line}`);
    };
    const help = /^# HELP (\S+) \S/.exec(line)?.[1];
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (help !== undefined) {
      if (helped.has(help)) fail('a second HELP');
      helped.add(help);
    } else if (type !== null) {
      family = type[1]!;
      if (!NAME.test(family)) fail('no name');
      if (types.has(family)) fail('a second TYPE');
      if (!helped.has(family)) fail('no HELP before');
      if (type[2] === 'counter' && !family.endsWith('_total')) fail('a counter without _total');
      if (type[2] !== 'counter' && family.endsWith('_total') && !family.startsWith('nodejs_')) {
        fail('_total on what is no counter');
      }
      types.set(family, type[2]!);
    } else {
      const match = LINE.exec(line) ?? fail('no sample');
      const name = match[1]!;
      const isOfFamily =
        name === family ||
        (types.get(family) === 'histogram' && /^(_bucket|_sum|_count)$/.test(name.slice(family.length)));
      if (!isOfFamily) fail(`not of ${family}`);
      const key = line.slice(0, line.lastIndexOf(' '));
      if (seen.has(key)) fail('twice');
      seen.add(key);
      const value = match[3] === '+Inf' ? Number.POSITIVE_INFINITY : Number(match[3]);
      // prom-client writes `Nan`; Prometheus reads it in any case.
      if (Number.isNaN(value) && !/^nan$/i.test(match[3]!)) fail('no number');
      samples.push({ name, labels: readLabels(match[2] ?? '', fail), value });
    }
  }
  checkHistograms(samples, types);
  return samples;
}

function readLabels(text: string, fail: (why: string) => never): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const match = LABEL.exec(rest) ?? fail('a bad label');
    if (match[1]! in labels) fail('a label twice');
    labels[match[1]!] = match[2]!;
    rest = rest.slice(match[0].length);
  }
  return labels;
}

/** Buckets rise to `+Inf`, which is the count. */
function checkHistograms(samples: readonly Sample[], types: ReadonlyMap<string, string>): void {
  for (const [name, type] of types) {
    if (type !== 'histogram') continue;
    const counts = samples.filter((sample) => sample.name === `${name}_count`);
    for (const { labels, value } of counts) {
      const buckets = samples.filter(
        (sample) =>
          sample.name === `${name}_bucket` &&
          Object.keys(sample.labels).length === Object.keys(labels).length + 1 &&
          Object.entries(labels).every(([key, label]) => sample.labels[key] === label),
      );
      const bounds = buckets.map(({ labels: { le } }) =>
        le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le),
      );
      const rises = (list: readonly number[], strictly: boolean) =>
        list.every((item, i) => i === 0 || (strictly ? item > list[i - 1]! : item >= list[i - 1]!));
      if (bounds.at(-1) !== Number.POSITIVE_INFINITY || !rises(bounds, true))
        throw new Error(`${name}: bounds`);
      const filled = buckets.map((bucket) => bucket.value);
      if (filled.at(-1) !== value || !rises(filled, false)) throw new Error(`${name}: buckets`);
      const sum = samples.some(
        (sample) => sample.name === `${name}_sum` && JSON.stringify(sample.labels) === JSON.stringify(labels),
      );
      if (!sum) throw new Error(`${name}: no sum`);
    }
  }
}

/** The value of the one series of this name whose labels include these; undefined where there is none. */
export function sampleValue(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  if (found.length > 1) throw new Error(`${found.length} series of ${name} fit`);
  return found[0]?.value;
}
