import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { Connector } from '../connectors/schema.ts';
import { type Condition, type ConnectorStatus, statusOf } from '../connectors/status.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import { KubernetesError } from '../platform/kubernetes/error.ts';
import { type KubernetesObject, resources } from '../platform/kubernetes/object.ts';

/** Conditions before and after a write. */
export interface WrittenStatus {
  readonly before: readonly Condition[];
  readonly after: readonly Condition[];
}

/** As much of a Connector as a write of its status follows from. */
interface StatusHolder {
  readonly status?: unknown;
  readonly metadata: { readonly resourceVersion?: string | undefined; readonly uid?: string | undefined };
}

const attemptsMax = 4;

/**
 * Writes `Connector.status`, only where it says something new, and only over what was looked at: each write names the
 * version that it follows from, and starts again from the newest when that has changed.
 */
export class ConnectorStatusWriter {
  readonly #client: Pick<KubernetesClient, 'get' | 'patch'>;
  /** By key, what was written last and over which version, until the watch has brought it. */
  readonly #written = new Map<string, { readonly over: string | undefined; readonly object: StatusHolder }>();

  constructor(client: Pick<KubernetesClient, 'get' | 'patch'>) {
    this.#client = client;
  }

  forget(key: string): void {
    this.#written.delete(key);
  }

  /**
   * @param next the status that is to be, from the one that is; the same object where nothing need be written
   * @returns undefined where nothing was written
   * @throws KubernetesError
   */
  async write(
    connector: Connector,
    next: (previous: ConnectorStatus) => ConnectorStatus,
    signal: AbortSignal,
  ): Promise<WrittenStatus | undefined> {
    let base: StatusHolder | undefined = this.#baseOf(connector);
    for (let attempt = 1; base?.metadata.uid === connector.metadata.uid; attempt += 1) {
      const previous = statusOf(base);
      const status = next(previous);
      if (status === previous) return undefined;
      try {
        await this.#patch(connector, { metadata: base.metadata, status }, signal);
        return { before: previous.conditions ?? [], after: status.conditions ?? [] };
      } catch (error) {
        // It has gone: so has its status.
        if (statusCodeOf(error) === 404) return undefined;
        if (statusCodeOf(error) !== 409 || attempt === attemptsMax) throw error;
      }
      const newest: KubernetesObject | undefined = await this.#client.get(resources.connectors, nameOf(connector), {
        signal,
      });
      base = newest && holderOf(newest);
      if (base === undefined) return undefined;
    }
    return undefined;
  }

  #baseOf(connector: Connector): StatusHolder {
    const key = keyOf(connector);
    const written = this.#written.get(key);
    if (written !== undefined && written.over === connector.metadata.resourceVersion) return written.object;
    this.#written.delete(key);
    return holderOf(connector);
  }

  async #patch(connector: Connector, patch: StatusHolder, signal: AbortSignal): Promise<void> {
    const object = await this.#client.patch(resources.connectors, nameOf(connector), patch, {
      type: 'merge',
      subresource: 'status',
      signal,
    });
    this.#written.set(keyOf(connector), { over: connector.metadata.resourceVersion, object: holderOf(object) });
  }
}

const statusCodeOf = (error: unknown): number | undefined =>
  error instanceof KubernetesError ? error.status : undefined;

const nameOf = ({ metadata: { namespace = 'default', name } }: Connector): ConnectorKey => ({ namespace, name });

const keyOf = (connector: Connector): string => formatKey(nameOf(connector));

const holderOf = ({ metadata: { resourceVersion, uid }, status }: StatusHolder): StatusHolder => ({
  metadata: { resourceVersion, uid },
  status,
});
