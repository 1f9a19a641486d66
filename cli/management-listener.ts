import { drainable } from '../platform/drain.ts';
import { buildManagement, type ManagementOptions } from '../platform/management.ts';
import { type ListenAddress, listen, listenOnSocket } from './listen-address.ts';

/** A listener that is up, and how to end it. */
export interface Listening<Place = ListenAddress> {
  readonly address: Place;
  drain(graceMs: number): Promise<void>;
}

/** Starts the listener for probes and metrics: at host and port, or on the Unix socket of this path. */
export async function startManagement<Place extends ListenAddress | string>(
  options: ManagementOptions,
  place: Place,
  parts: AsyncDisposableStack,
): Promise<Listening<Place>> {
  const management = buildManagement(options);
  const drain = drainable(management);
  const address = typeof place === 'string' ? await listenOnSocket(management, place) : await listen(management, place);
  parts.defer(() => drain(0));
  return { address: address as Place, drain };
}
