import { join } from 'node:path';
import { partPath } from '../../test/real/support/find-part.ts';
import { addImage, imageBytes, imageRepository, linkedRepository } from '../image-content.ts';
import { repository } from '../origin.ts';
import { type Findings, type Part, type PartContext, startNamed } from '../part.ts';
import { nginxProxy, product, reference } from '../peers.ts';
import { median, medianRatio, table } from '../table.ts';
import { usageOf } from '../usage.ts';

const direct = 'direct';

interface Puller {
  readonly name: string;
  /** Of the repository that all proxies know. */
  readonly repositoryUrl: string;
  readonly pid?: number;
}

interface Pulls {
  readonly seconds: number[];
  readonly cpuSeconds: number[];
}

/** An image of 1 GiB, pulled by crane, which checks digests, one layer after the other. */
export const image: Part = {
  name: 'image',
  title: 'An image of 1 GiB, pulled by crane',
  async run(context): Promise<Findings> {
    await addImage(context.origin.content);
    const pullers: Puller[] = [{ name: direct, repositoryUrl: `${context.origin.url}/v2/${repository}` }];
    const peers = [];
    for (const name of [nginxProxy, reference, product]) peers.push(await startNamed(name, context));
    pullers.push(...peers);
    const sections: string[] = [];
    for (const [where, name] of [
      ['as fast as this machine goes', imageRepository],
      ['the registry gives 2.5 Gbit/s', linkedRepository],
    ] as const) {
      sections.push(tableOf(where, await measure(pullers, name, context)));
    }
    for (const peer of peers) await peer.stop();
    return { markdown: sections.join('\n\n'), failures: [] };
  },
};

async function measure(pullers: readonly Puller[], name: string, context: PartContext): Promise<Map<Puller, Pulls>> {
  const rounds = context.effort.isQuick ? 1 : 3;
  const pulls = new Map<Puller, Pulls>(pullers.map((puller) => [puller, { seconds: [], cpuSeconds: [] }]));
  for (let at = 0; at <= rounds; at += 1) {
    for (const puller of pullers) {
      const before = puller.pid === undefined ? 0 : usageOf(puller.pid).cpuSeconds;
      const seconds = await pull(puller, name, context);
      const cpuSeconds = puller.pid === undefined ? 0 : usageOf(puller.pid).cpuSeconds - before;
      // The first time is for whoever has to compile, or to open connections.
      if (at === 0) continue;
      pulls.get(puller)?.seconds.push(seconds);
      pulls.get(puller)?.cpuSeconds.push(cpuSeconds);
      context.report(`image ${at}/${rounds}, ${name}, ${puller.name}: ${seconds.toFixed(2)} s`);
    }
  }
  return pulls;
}

async function pull({ repositoryUrl }: Puller, name: string, context: PartContext): Promise<number> {
  const reference = `${repositoryUrl.replace(/^https?:\/\//, '').replace(/\/v2\//, '/')}:v1`.replace(repository, name);
  const environment = {
    DOCKER_CONFIG: join(context.folder, 'nowhere'),
    no_proxy: '127.0.0.1',
    ...(context.origin.caFile !== undefined && { SSL_CERT_FILE: context.origin.caFile }),
  };
  const startedAt = performance.now();
  await context.children.run(partPath('crane'), ['pull', reference, '/dev/null'], { environment });
  return (performance.now() - startedAt) / 1000;
}

function tableOf(where: string, pulls: Map<Puller, Pulls>): string {
  const base = [...pulls.values()][0]?.seconds ?? [];
  const gib = imageBytes / 2 ** 30;
  const rows = [...pulls].map(([{ name, pid }, { seconds, cpuSeconds }]) => [
    name,
    median(seconds).toFixed(2),
    medianRatio(seconds, base).toFixed(3),
    pid === undefined ? '' : (median(cpuSeconds) / gib).toFixed(2),
  ]);
  return table([where, 'seconds', `× ${direct}`, 'CPU s/GiB'], rows);
}
