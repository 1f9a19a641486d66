import { pullSecretName } from '../../connectors/pull-identity.ts';
import { conditionOf, readyCondition, statusOf } from '../../connectors/status.ts';
import type { KubernetesClient } from '../../platform/kubernetes/client.ts';
import { type Informer, startInformer } from '../../platform/kubernetes/informer.ts';
import { type KubernetesObject, type ObjectKey, resources } from '../../platform/kubernetes/object.ts';

interface Watched extends KubernetesObject {
  /** `True Ready`, `False SecretNotFound`: of a Connector that has the condition. */
  readonly ready?: string | undefined;
  /** Of a pull secret that holds a token. */
  readonly hasToken?: boolean;
}

/** What the leader has brought about so far, as the API server tells it. */
export class Progress implements AsyncDisposable {
  readonly #connectors: Informer<Watched>;
  readonly #pullSecrets: Informer<Watched>;
  readonly #waiting = new Set<() => void>();
  readonly #ready = new Map<string, number>();
  #tokens = 0;

  constructor(client: KubernetesClient) {
    const onError = (error: unknown): void => this.#fail(error);
    this.#connectors = startInformer<Watched>({ client, resource: resources.connectors, transform: readyOf, onError });
    this.#pullSecrets = startInformer<Watched>({
      client,
      resource: resources.secrets,
      fieldSelector: `metadata.name=${pullSecretName}`,
      transform: tokenOf,
      onError,
    });
    this.#connectors.onChange(({ current, previous }) => {
      this.#count(previous?.ready, -1);
      this.#count(current?.ready, 1);
      this.#check();
    });
    this.#pullSecrets.onChange(({ current, previous }) => {
      this.#tokens += Number(current?.hasToken ?? false) - Number(previous?.hasToken ?? false);
      this.#check();
    });
  }

  async synced(): Promise<void> {
    await Promise.all([this.#connectors.synced(), this.#pullSecrets.synced()]);
  }

  /** Connectors by status and reason of Ready, as `False SecretNotFound`. */
  get ready(): ReadonlyMap<string, number> {
    return this.#ready;
  }

  /** Connectors that have the condition. */
  get told(): number {
    return [...this.#ready.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Connectors of which it says True or False. */
  get decided(): number {
    return [...this.#ready].reduce((sum, [text, count]) => sum + (text.startsWith('Unknown') ? 0 : count), 0);
  }

  get pullSecrets(): number {
    return this.#tokens;
  }

  readyOf(key: ObjectKey): string | undefined {
    return this.#connectors.get(key)?.ready;
  }

  hasPullSecret(namespace: string): boolean {
    return this.#pullSecrets.get({ namespace, name: pullSecretName })?.hasToken === true;
  }

  /** Resolves with the time of performance.now() at which `isSo` was seen to be. */
  until(what: string, isSo: (progress: Progress) => boolean, timeoutMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(check);
      };
      const check = (): void => {
        if (!isSo(this)) return;
        end();
        resolve(performance.now());
      };
      const timer = setTimeout(() => {
        end();
        const state = [...this.#ready].map(([text, count]) => `${text}: ${count}`).join(', ');
        reject(new Error(`${what}: not so after ${timeoutMs / 1000} s; ${state}; ${this.#tokens} pull secrets`));
      }, timeoutMs);
      this.#waiting.add(check);
      check();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#connectors.close(), this.#pullSecrets.close()]);
  }

  #count(ready: string | undefined, change: number): void {
    if (ready === undefined) return;
    const count = (this.#ready.get(ready) ?? 0) + change;
    if (count === 0) this.#ready.delete(ready);
    else this.#ready.set(ready, count);
  }

  #check(): void {
    for (const check of [...this.#waiting]) check();
  }

  #fail(error: unknown): void {
    process.stderr.write(`bench: a watch broke and is started again: ${error}\n`);
  }
}

function readyOf({ metadata, status }: KubernetesObject): Watched {
  const { conditions = [] } = statusOf({ status } as Parameters<typeof statusOf>[0]);
  const condition = conditionOf(conditions, readyCondition);
  return { metadata, ready: condition && `${condition.status} ${condition.reason}` };
}

const tokenOf = ({ metadata }: KubernetesObject): Watched => ({
  metadata,
  hasToken: metadata.annotations?.['connectors.cpaas.io/token-expires-at'] !== undefined,
});
