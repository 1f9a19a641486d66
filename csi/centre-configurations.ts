import {
  configurationAnswer,
  configurationRevisionsPath,
  configurationsPath,
  revisionsAnswer,
} from '../connectors/configurations/protocol.ts';
import type { CentreClient } from '../platform/centre/client.ts';
import type { ConfigurationSource } from './configuration-source.ts';

/** Files as the centre renders them. */
export function centreConfigurations(client: CentreClient): ConfigurationSource {
  return {
    render: async (question, signal) =>
      configurationAnswer.parse(await client.ask('POST', configurationsPath, question, signal)),
    revisions: async (wants, signal) => {
      const answer = await client.ask('POST', configurationRevisionsPath, { wants }, signal);
      return revisionsAnswer.parse(answer).revisions;
    },
  };
}
