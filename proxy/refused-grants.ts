import type { Grant } from '../credentials/grant.ts';
import { originOf } from '../credentials/grant-origin.ts';

/** More credentials than a connector has. */
const triesMax = 20;

/** What a request has met with: each credential of the connector gets its turn, and none a second one. */
export class RefusedGrants {
  readonly #labels = new Set<string | undefined>();

  /**
   * Whether another grant should be asked for after an answer to this one: after 401 and 403, and after a 404 that may
   * hide from one credential what another one sees.
   */
  mayAsk(grant: Grant, status: number): boolean {
    const { label, isUnproven } = originOf(grant) ?? {};
    const isRefusal = status === 401 || status === 403 || (status === 404 && isUnproven === true);
    if (!isRefusal || this.#labels.has(label) || this.#labels.size >= triesMax) return false;
    this.#labels.add(label);
    return true;
  }

  /** What comes now is as good as another request. */
  clear(): void {
    this.#labels.clear();
  }
}
