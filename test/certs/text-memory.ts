import type { AuthorityStore } from '../../certs/certificate-store.ts';
import type { TextStore } from '../../certs/text-store.ts';

/** A store in memory that a test looks into, takes things from, and breaks. */
export interface TextMemory extends TextStore {
  text: string | undefined;
  /** What reading rejects with. */
  failure: Error | undefined;
  readonly reads: number;
}

export function textMemory(): TextMemory {
  let reads = 0;
  return {
    location: 'memory',
    text: undefined,
    failure: undefined,
    get reads() {
      return reads;
    },
    async read() {
      reads += 1;
      if (this.failure !== undefined) throw this.failure;
      return this.text;
    },
    async write(text, previous) {
      if (this.text === previous) this.text = text;
    },
  };
}

export interface AuthorityMemory extends AuthorityStore {
  readonly authority: TextMemory;
  bundle: string | undefined;
}

export const authorityMemory = (): AuthorityMemory => ({
  authority: textMemory(),
  bundle: undefined,
  async open() {},
  async writeBundle(bundle) {
    this.bundle = bundle;
  },
});
