import { type BlobLoad, loadBlobs, loadPushes } from '../load.ts';
import { type Memory, memoryCells, rssMaxAllowedBytes, watchMemory } from '../memory.ts';
import { largeBlobBytes, largeBlobTail } from '../origin.ts';
import { type Findings, type Part, type PartContext, startNamed } from '../part.ts';
import { product, reference } from '../peers.ts';
import { startSink } from '../sink.ts';
import { table } from '../table.ts';

const clients = 256;
const slowBytesPerSecond = 1_000_000;

interface Row {
  readonly what: string;
  readonly name: string;
  readonly memory: Memory<BlobLoad>;
}

/**
 * 256 blobs of 1 GiB at the same time, where one side is far slower than the other could be: what waits in the proxy
 * shows in its memory. It ends after a time; the rest of the blobs would tell nothing more.
 */
export const slow: Part = {
  name: 'slow',
  title: `Memory while ${clients} blobs of 1 GiB move slowly`,
  async run(context): Promise<Findings> {
    const rows: Row[] = [];
    for (const name of [reference, product]) {
      rows.push(await slowPulls(name, context));
      rows.push(await slowPushes(name, 'pushes, the registry slow', context, { rate: slowBytesPerSecond }, undefined));
      rows.push(await slowPushes(name, 'pushes, clients slow', context, {}, slowBytesPerSecond));
    }
    const cells = rows.map(({ what, name, memory }) => [
      `${name}, ${what}`,
      (memory.load.bytes / 1e6).toFixed(0),
      String(memory.load.broken),
      ...memoryCells(memory),
    ]);
    const ours = rows.filter(({ name }) => name === product);
    const failures = ours.filter(({ memory }) => memory.load.broken > 0 || memory.rssMaxBytes > rssMaxAllowedBytes);
    return {
      markdown: table(['', 'MB in all', 'broken', 'RSS MiB before', 'at most'], cells),
      failures: failures.map(({ what }) => `${what}: more than 200 MiB, or broken`),
    };
  },
};

// Each in a process of its own: what waits must not hide in memory that an earlier load left behind.

async function slowPulls(name: string, context: PartContext): Promise<Row> {
  const { children, programs, effort, report } = context;
  const peer = await startNamed(name, context);
  const load = loadBlobs(children, programs, peer, {
    tails: [largeBlobTail],
    clients,
    bytesPerSecond: slowBytesPerSecond,
    seconds: effort.slowSeconds,
  });
  const memory = await watchMemory(peer, load);
  await peer.stop();
  report(`slow pulls, ${name}: ${memoryCells(memory).join(' → ')} MiB`);
  return { what: 'pulls, clients slow', name, memory };
}

async function slowPushes(
  name: string,
  what: string,
  context: PartContext,
  sinkOptions: { readonly rate?: number },
  bytesPerSecond: number | undefined,
): Promise<Row> {
  const { children, programs, effort, report } = context;
  const sink = await startSink(context, sinkOptions);
  const peer = await startNamed(name, { ...context, origin: sink.origin });
  const load = loadPushes(children, programs, peer, {
    bytes: largeBlobBytes,
    clients,
    bytesPerSecond,
    seconds: effort.slowSeconds,
  });
  const memory = await watchMemory(peer, load);
  await peer.stop();
  await sink.stop();
  report(`${what}, ${name}: ${memoryCells(memory).join(' → ')} MiB`);
  return { what, name, memory };
}
