import { onTestFinished } from 'vitest';
import type { Resolve, TransportTimeouts } from '../../../platform/transport.ts';
import type * as faults from '../../support/faults.ts';
import { makeImage } from '../../support/image.ts';
import { type ConnectorOptions, connectorTo, startProxy } from '../../support/proxy.ts';
import { type RecordedRequest, startRegistry, type TokenAuth } from '../../support/registry.ts';
import { startStorage } from '../../support/storage.ts';

/** A fault, and what comes of it. */
export interface Row {
  readonly when: string;
  /** Which requests of the registry go wrong, and how; without `match` those for the content. */
  readonly rules?: readonly faults.FaultRule[];
  /** The same of the storage that blobs are redirected to; absent: the registry sends them itself. */
  readonly storageRules?: readonly faults.FaultRule[];
  readonly auth?: Partial<TokenAuth>;
  readonly connector?: ConnectorOptions;
  /** The registry counts as public: its name has a public address beside the one that answers. */
  readonly isPublic?: boolean;
  readonly timeouts?: Partial<TransportTimeouts>;
  readonly method?: 'HEAD';
  /** By default a blob of `sizeBytes`. */
  readonly content?: 'blob' | 'manifest';
  /** `whole`: the right bytes. `broken`: a connection that breaks before the promised length. */
  readonly sees:
    | 'whole'
    | 'broken'
    | { readonly status: number; readonly reason?: string; readonly retryAfter?: string };
  /** Method and Range of each request for the content. */
  readonly registrySaw: readonly string[];
  readonly storageSaw?: readonly string[];
  /** Requests to the token endpoint, by default one. */
  readonly tokenRequests?: number;
}

export const sizeBytes = 300_000;

export const once = (fault: faults.Fault): faults.FaultRule[] => [{ times: 1, fault }];
export const always = (fault: faults.Fault): faults.FaultRule[] => [{ fault }];
/** For the token endpoint. */
export const tokens = (fault: faults.Fault): faults.FaultRule[] => [{ match: { path: /\/token$/ }, fault }];

/** Both faults at once: the second changes what the first answers. */
export const both = (first: faults.Fault, second: faults.Fault): faults.Fault => ({
  name: `${first.name} and ${second.name}`,
  inflict: (answer, exchange) =>
    second.inflict(async () => (await first.inflict(answer, exchange)) as Awaited<ReturnType<typeof answer>>, exchange),
});

/** An answer that keeps its headers, with as many zeros as these for a body. */
export const zeros = (bytes: number): faults.Fault => ({
  name: `zeros(${bytes})`,
  inflict: async (answer) => {
    const { status, headers } = await answer();
    return { status, headers: { ...headers, 'content-length': String(bytes) }, body: [Buffer.alloc(bytes)] };
  },
});

/** `GET`, or `GET bytes=0-9` with the Range. */
export const summaryOf = ({ method, headers }: RecordedRequest) =>
  `${method}${headers.range === undefined ? '' : ` ${headers.range}`}`;

/** The registry of a row and the proxy to it. */
export async function arrange(row: Row) {
  const login = { username: 'robot', password: 'correct horse' };
  const resolve: Resolve = async (hostname) => {
    const own = { address: '127.0.0.1', family: 4 };
    return row.isPublic && hostname === 'registry.test' ? [own, { address: '93.184.216.34', family: 4 }] : [own];
  };
  const storage = row.storageRules && (await startStorage({ hostname: 'storage.test', faults: row.storageRules }));
  const registry = await startRegistry({
    hostname: 'registry.test',
    auth: { kind: 'token', ...login, ...row.auth },
    ...(storage && { redirectBlobs: storage.publish }),
  });
  const manifest = registry.seed('team/app', makeImage(), ['v1']);
  const blob = await registry.seedSyntheticBlob('team/app', sizeBytes);
  const isManifest = row.content === 'manifest';
  const content = { path: /^\/v2\/team\//, isAuthorized: true };
  for (const rule of row.rules ?? []) registry.faults.add({ match: content, ...rule });
  const proxy = await startProxy({
    documents: connectorTo(registry.origin, { ...login, ...row.connector }),
    transports: { resolve, timeouts: row.timeouts ?? {} },
  });
  onTestFinished(async () => {
    await proxy.close();
    await registry.close();
    await storage?.close();
  });
  const path = isManifest ? 'team/app/manifests/v1' : `team/app/blobs/${blob}`;
  return { registry, storage, proxy, path, digest: isManifest ? manifest.digest : blob };
}
