import type { IncomingHttpHeaders } from 'node:http';
import { ProxyError } from '../platform/errors.ts';
import { printable } from '../platform/printable.ts';

/**
 * Refuses what a web page may have sent, which can have its own name lead to us, or send us forms, but can hide neither
 * that name nor where it is from.
 * @throws ProxyError HOST_MISDIRECTED
 */
export function refuseWebPages(
  host: string | undefined,
  { origin }: Pick<IncomingHttpHeaders, 'origin'>,
  isHostAllowed: (host: string) => boolean,
): void {
  if (host === undefined || !isHostAllowed(host)) {
    const named =
      host === undefined ? 'the request names no host, or several' : `${printable(host)} is no name of ours`;
    throw new ProxyError('HOST_MISDIRECTED', `${named}: where no token is asked for, call the proxy localhost`);
  }
  if (origin === undefined) return;
  const message = 'the request has an Origin header: where no token is asked for, web pages are not served';
  throw new ProxyError('HOST_MISDIRECTED', message);
}
