import type { ServerResponse } from 'node:http';
import type { Grant } from '../credentials/grant.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { type Held, relay } from './relay.ts';

/** When a registry last took a grant, in epoch milliseconds; for as long as `provenMs` it is believed to go on. */
const provenAt = new WeakMap<Grant, number>();
const provenMs = 30_000;
/** The blob of no bytes: whether it is there does not matter. */
const digestOfNothing = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** The registry has just taken this grant. `now` is in epoch milliseconds. */
export function noteProven(grant: Grant, now: number): void {
  provenAt.set(grant, now);
}

/** Whether a registry has taken this grant within half a minute before `now`, in epoch milliseconds. */
export const isProven = (grant: Grant, now: number): boolean =>
  (provenAt.get(grant) ?? Number.NEGATIVE_INFINITY) > now - provenMs;

/**
 * Tries a grant out at a repository, as the registry's API names it. It ends with `response`, to which it gives nothing.
 * @returns the 401 that refused it. Whatever else comes of it is for the request itself to find out
 */
export async function refusalInTrial(
  grant: Grant,
  repository: string,
  transport: RegistryTransport,
  response: ServerResponse,
): Promise<Held | undefined> {
  const url = new URL(`${transport.origin}/v2/${repository}/blobs/${digestOfNothing}`);
  const authorization = grant.kind === 'authorization' ? { authorization: grant.value } : {};
  const outcome = await relay(
    transport.dispatcherFor(url),
    { origin: url.origin, path: url.pathname, method: 'HEAD', headers: authorization },
    response,
    { verdict: () => 'hold', readBuffers: transport.readBuffers },
  );
  return outcome.kind === 'held' && outcome.status === 401 ? outcome : undefined;
}
