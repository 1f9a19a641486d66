/**
 * Measures what it costs to find the connector of an image among 10, 1,000 and 10,000: `node bench/matching.ts`. Prints
 * Markdown. Every size is asked for the same images, and the sizes take turns, so that what else the machine does hits
 * all of them alike. Images spread over 10,000 connectors cost more than that: their data is not in the caches.
 */

import { buildCatalogue, type ConnectorCatalogue } from '../connectors/catalogue.ts';
import { type ImageReference, parseImageReference } from '../connectors/image-reference.ts';
import { connectorApiVersion, type Document } from '../connectors/schema.ts';

const sizes = [10, 1_000, 10_000] as const;
const rounds = 241;
const matchesPerRound = 5_000;

/** How the connectors of a cluster may lie: the namespace and the address of the one with this number. */
const layouts: Readonly<Record<string, (at: number) => { namespace: string; address: string }>> = {
  'a registry each': (at) => ({ namespace: 'demo', address: `https://registry-${at}.example.com` }),
  'a path of one registry each': (at) => ({ namespace: 'demo', address: `https://harbor.example.com/team-${at}` }),
  'a namespace each': (at) => ({ namespace: `demo-${at}`, address: 'https://harbor.example.com' }),
  'shared by all': (at) => ({ namespace: 'kube-public', address: `https://registry-${at}.example.com/mirror` }),
};

interface Lookup {
  readonly namespace: string;
  readonly reference: ImageReference;
}

interface Subject {
  readonly catalogue: ConnectorCatalogue;
  readonly lookups: readonly Lookup[];
  readonly nanoseconds: number[];
}

function subjectOf(size: number, layout: (at: number) => { namespace: string; address: string }): Subject {
  const places = Array.from({ length: size }, (_, at) => layout(at));
  const documents = places.map(({ namespace, address }, at): Document => {
    const metadata = { namespace, name: `connector-${at}` };
    return {
      apiVersion: connectorApiVersion,
      kind: 'Connector',
      metadata,
      spec: { connectorClassName: 'oci', address },
    };
  });
  // The same ten images for every size: two of them match nothing.
  const lookups = places.slice(0, 10).map(({ namespace, address }, at): Lookup => {
    const host = address.replace('https://', '');
    const parsed = parseImageReference(at < 8 ? `${host}/group/app:v${at}` : `elsewhere-${at}.example.com/group/app`);
    if (!parsed.ok) throw new Error(parsed.reason);
    return { namespace: namespace === 'kube-public' ? 'demo' : namespace, reference: parsed.reference };
  });
  return { catalogue: buildCatalogue(documents), lookups, nanoseconds: [] };
}

/** Nanoseconds for one match. */
function measure({ catalogue, lookups }: Subject): number {
  let found = 0;
  const startedAt = process.hrtime.bigint();
  for (let at = 0; at < matchesPerRound; at += 1) {
    const lookup = lookups[at % lookups.length];
    if (lookup !== undefined && catalogue.find(lookup.reference, lookup.namespace) !== undefined) found += 1;
  }
  const nanoseconds = Number(process.hrtime.bigint() - startedAt);
  if (found !== matchesPerRound * 0.8) throw new Error(`${found} of ${matchesPerRound} matched`);
  return nanoseconds / matchesPerRound;
}

/** The first quartile: what the machine does beside makes a round longer, and never shorter. */
const quartile = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 2] ?? Number.NaN;

function row(name: string, layout: (at: number) => { namespace: string; address: string }): string {
  const subjects = sizes.map((size) => subjectOf(size, layout));
  for (let round = 0; round < rounds; round += 1)
    for (const subject of subjects) subject.nanoseconds.push(measure(subject));
  // The first rounds are the compiler's.
  const quartiles = subjects.map(({ nanoseconds }) => quartile(nanoseconds.slice(rounds >> 2)));
  const ratios = quartiles.slice(1).map((value) => (value / (quartiles[0] ?? Number.NaN)).toFixed(2));
  return `| ${[name, ...quartiles.map((value) => value.toFixed(0)), ...ratios].join(' | ')} |`;
}

const heads = [
  'connectors are',
  ...sizes.map((size) => `${size}: ns per match`),
  ...sizes.slice(1).map((size) => `${size} : 10`),
];
process.stdout.write(`| ${heads.join(' | ')} |\n|${heads.map(() => '---').join('|')}|\n`);
for (const [name, layout] of Object.entries(layouts)) process.stdout.write(`${row(name, layout)}\n`);
