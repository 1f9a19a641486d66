import type {
  ConfigurationAnswer,
  ConfigurationQuestion,
  ConfigurationWant,
} from '../../../connectors/configurations/protocol.ts';
import type { ConfigurationSource } from '../../../csi/configuration-source.ts';

/** A centre that answers what the test says, and remembers what it was asked. */
export interface FakeSource extends ConfigurationSource {
  readonly asked: ConfigurationQuestion[];
  readonly askedRevisions: (readonly ConfigurationWant[])[];
  /** What the next questions are answered; throws what they are refused with. */
  answer: (question: ConfigurationQuestion, signal: AbortSignal) => ConfigurationAnswer | Promise<ConfigurationAnswer>;
  /** Of each want. */
  revision: (want: ConfigurationWant) => string;
}

export interface FakeSourceOptions {
  readonly now: () => number;
}

export const tokenLifeMs = 1_800_000;
export const refreshAfterMs = 900_000;

/** By default every pod gets two files, one of which holds its token. */
export function fakeSource({ now }: FakeSourceOptions): FakeSource {
  const source: FakeSource = {
    asked: [],
    askedRevisions: [],
    revision: () => '1',
    answer: ({ token, want }) => ({
      files: [
        { name: 'config.json', content: JSON.stringify({ connectors: want.connectors }) },
        { name: 'context.token', content: token },
      ],
      revision: source.revision(want),
      expiresAt: now() + tokenLifeMs,
      refreshAfter: now() + refreshAfterMs,
    }),
    render: async (question, signal) => {
      source.asked.push(question);
      signal.throwIfAborted();
      return await source.answer(question, signal);
    },
    revisions: async (wants) => {
      source.askedRevisions.push(wants);
      return wants.map(source.revision);
    },
  };
  return source;
}
