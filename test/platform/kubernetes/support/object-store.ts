import { type KubernetesClient, KubernetesError } from '../../../../platform/kubernetes/client.ts';
import { type KubernetesObject, keyOf, keyText, type ObjectKey } from '../../../../platform/kubernetes/object.ts';

/** Objects of one resource with compare-and-swap, as the API server's storage has it. */
export class ObjectStore {
  readonly objects = new Map<string, KubernetesObject>();
  readonly writes: { verb: string; object: KubernetesObject }[] = [];
  #version = 0;

  /** A client of the store. While `isCut` answers true, requests wait until their signal aborts. */
  client(isCut: () => boolean = () => false): Pick<KubernetesClient, 'get' | 'create' | 'replace' | 'patch'> {
    const pass = async (signal: AbortSignal | undefined): Promise<void> => {
      if (isCut()) await untilAborted(signal);
    };
    return {
      get: async <T extends KubernetesObject>(_: unknown, key: ObjectKey, options?: { signal?: AbortSignal }) => {
        await pass(options?.signal);
        return this.objects.get(keyText(key)) as T | undefined;
      },
      create: async <T extends KubernetesObject>(_: unknown, object: T, options?: { signal?: AbortSignal }) => {
        await pass(options?.signal);
        if (this.objects.has(keyText(keyOf(object)))) throw refusal(409, 'AlreadyExists');
        return this.#store('create', object);
      },
      replace: async <T extends KubernetesObject>(_: unknown, object: T, options?: { signal?: AbortSignal }) => {
        await pass(options?.signal);
        const stored = this.objects.get(keyText(keyOf(object)));
        if (stored?.metadata.resourceVersion !== object.metadata.resourceVersion) throw refusal(409, 'Conflict');
        return this.#store('replace', object);
      },
      patch: async <T extends KubernetesObject>(_: unknown, key: ObjectKey, patch: unknown) => {
        const stored = this.objects.get(keyText(key));
        if (stored === undefined) throw refusal(404, 'NotFound');
        return this.#store('patch', { ...stored, ...(patch as object) } as T);
      },
    };
  }

  #store<T extends KubernetesObject>(verb: string, object: T): T {
    this.#version += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    this.objects.set(keyText(keyOf(object)), stored);
    this.writes.push({ verb, object: stored });
    return stored;
  }
}

export function refusal(status: number, reason: string): KubernetesError {
  return new KubernetesError(`refused: ${reason}`, { status, reason });
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted === true) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
