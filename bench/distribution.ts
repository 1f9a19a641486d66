import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { partPath } from '../test/real/support/find-part.ts';
import { until } from './children.ts';
import type { Origin } from './origin.ts';
import type { PartContext } from './part.ts';
import { accepts, freePort } from './port.ts';
import type { Sink } from './sink.ts';

/**
 * The Distribution registry, release 3, which writes what is pushed into `folder` and computes its digest.
 * @param tokens who gives the tokens that it wants; it takes any (its access controller `silly`)
 */
export async function startDistribution(context: PartContext, tokens: Origin): Promise<Sink> {
  const { children, folder, isTls, origin } = context;
  const port = await freePort();
  const file = join(folder, 'distribution.json');
  const tls = { certificate: origin.certificateFile, key: origin.keyFile };
  const configuration = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'storage') } },
    // Addresses of uploads without a host lead back through whoever forwarded them.
    http: { addr: `127.0.0.1:${port}`, secret: 'of one process only', relativeurls: true, ...(isTls && { tls }) },
    auth: { silly: { realm: `${tokens.url}/token`, service: 'bench' } },
  };
  writeFileSync(file, JSON.stringify(configuration));
  const environment = { OTEL_TRACES_EXPORTER: 'none' };
  const child = children.start(partPath('registry'), ['serve', file], { environment });
  await until(child, 'registry', () => accepts(port));
  const url = `${isTls ? 'https' : 'http'}://127.0.0.1:${port}`;
  return { origin: { ...tokens, url }, stop: () => children.stop(child) };
}
