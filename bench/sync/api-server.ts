import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { ApiAccessSource } from '../../platform/kubernetes/access.ts';

/** What an API server says of itself at one time. */
export interface ApiServerSample {
  /** Milliseconds of performance.now(). */
  readonly at: number;
  /** Requests so far by verb and resource, as `PATCH connectors/status`. */
  readonly requests: ReadonlyMap<string, number>;
  readonly rssBytes: number;
  readonly cpuSeconds: number;
}

const writes: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE', 'DELETECOLLECTION']);
export const isWrite = (request: string): boolean => writes.has(request.split(' ')[0] ?? '');

/** Asks an API server for its metrics. Close it in the end. */
export class ApiServerMetrics implements AsyncDisposable {
  readonly #access: ApiAccessSource;
  #agent: Agent | undefined;

  constructor(kubeconfig: string) {
    this.#access = new ApiAccessSource({ kubeconfig, now: () => performance.now() });
  }

  async sample(): Promise<ApiServerSample> {
    const { server, tls } = await this.#access.current();
    this.#agent ??= new Agent({ connect: { ...tls } });
    const { statusCode, body } = await request(new URL('/metrics', server), { dispatcher: this.#agent });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`/metrics of the API server: ${statusCode} ${text.slice(0, 200)}`);
    return { at: performance.now(), ...readMetrics(text) };
  }

  /** Resolves when fewer than `perSecond` objects a second are written, by anybody. */
  async untilQuiet(perSecond: number, timeoutMs: number): Promise<void> {
    const endAt = performance.now() + timeoutMs;
    for (let before = await this.sample(); performance.now() < endAt; ) {
      await delay(3_000);
      const after = await this.sample();
      if (rateOf(before, after, isWrite) < perSecond) return;
      before = after;
    }
    throw new Error(`the API server is not quiet after ${timeoutMs / 1000} s`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.destroy();
  }
}

/** Requests between two samples, the most frequent first. */
export function requestsBetween(before: ApiServerSample, after: ApiServerSample): ReadonlyMap<string, number> {
  const differences = [...after.requests].map(([name, count]): [string, number] => [
    name,
    count - (before.requests.get(name) ?? 0),
  ]);
  return new Map(differences.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a));
}

export function countBetween(
  before: ApiServerSample,
  after: ApiServerSample,
  isCounted: (request: string) => boolean = () => true,
): number {
  let sum = 0;
  for (const [name, count] of requestsBetween(before, after)) if (isCounted(name)) sum += count;
  return sum;
}

/** Requests per second. */
export function rateOf(
  before: ApiServerSample,
  after: ApiServerSample,
  isCounted?: (request: string) => boolean,
): number {
  return (countBetween(before, after, isCounted) * 1000) / (after.at - before.at);
}

function readMetrics(text: string): Omit<ApiServerSample, 'at'> {
  const requests = new Map<string, number>();
  const single = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  for (const [, labels = '', value] of text.matchAll(/^apiserver_request_total\{(.*)\} (\S+)$/gm)) {
    const label = (name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    const resource = [label('resource'), label('subresource')].filter(Boolean).join('/');
    const name = `${label('verb')} ${resource}`;
    requests.set(name, (requests.get(name) ?? 0) + Number(value));
  }
  return {
    requests,
    rssBytes: single('process_resident_memory_bytes'),
    cpuSeconds: single('process_cpu_seconds_total'),
  };
}
