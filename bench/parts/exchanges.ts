import { request } from 'node:http';
import { request as requestSecurely } from 'node:https';
import { text } from 'node:stream/consumers';
import { type BlobLoad, loadBlobs } from '../load.ts';
import { blobTail, manifestTail, repository } from '../origin.ts';
import { type Findings, type Part, startNamed } from '../part.ts';
import { product } from '../peers.ts';
import { startSink } from '../sink.ts';
import { table } from '../table.ts';

const pulls = 1_000;

/** Many begin to pull the same repository at the same moment, before there is a token for it. */
export const exchanges: Part = {
  name: 'exchanges',
  title: `${pulls} pulls of one repository at the same moment`,
  async run(context): Promise<Findings> {
    const { children, programs } = context;
    const sink = await startSink(context, { tokenDelay: '300ms' });
    const peer = await startNamed(product, { ...context, origin: sink.origin });
    const load = { tails: [manifestTail, blobTail], clients: pulls };
    const through = await loadBlobs(children, programs, peer, load);
    const count = await exchangesAt(sink.origin.url);
    const again = await loadBlobs(children, programs, peer, load);
    const { url, authorization, caFile } = sink.origin;
    const itself = { repositoryUrl: `${url}/v2/${repository}`, authorization, caFile };
    const direct = await loadBlobs(children, programs, itself, load);
    await peer.stop();
    await sink.stop();
    const rows = [
      row(`${product}, with the exchange`, through, String(count)),
      row(`${product}, again`, again, '0'),
      row('direct, with a token', direct, ''),
    ];
    const failures = [
      ...(count === 1 ? [] : [`${count} token exchanges, and not 1`]),
      ...(through.broken + again.broken === 0 ? [] : [`${through.broken + again.broken} pulls broken`]),
    ];
    context.report(`${pulls} pulls: ${count} exchange(s), ${through.p50Ms.toFixed(0)} ms in the middle`);
    const note = 'A pull is a manifest and a blob of 64 KiB on a connection of its own; a token takes 300 ms.';
    return { markdown: `${table(['', 'exchanges', 'p50 ms', 'p99 ms', 'most ms'], rows)}\n\n${note}`, failures };
  },
};

const row = (name: string, { p50Ms, p99Ms, maxMs }: BlobLoad, count: string): string[] => [
  name,
  count,
  ...[p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(0)),
];

/** How often the registry has given out a token. */
async function exchangesAt(url: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // The registry is of this run, and its certificate of nobody's.
  const asked = url.startsWith('https:')
    ? requestSecurely(`${url}/exchanges`, { rejectUnauthorized: false })
    : request(`${url}/exchanges`);
  asked.on('response', (response) => void text(response).then(resolve, reject)).on('error', reject);
  asked.end();
  return Number(await promise);
}
