import type {
  ConfigurationAnswer,
  ConfigurationQuestion,
  ConfigurationWant,
} from '../connectors/configurations/protocol.ts';

/** Where the files of volumes come from. Both calls throw ProxyError. */
export interface ConfigurationSource {
  /** The files of one volume, for the pod that the question's token is of. */
  render(question: ConfigurationQuestion, signal: AbortSignal): Promise<ConfigurationAnswer>;
  /** The revision of each want, in their order; empty for one that cannot be rendered at present. */
  revisions(wants: readonly ConfigurationWant[], signal: AbortSignal): Promise<readonly string[]>;
}
