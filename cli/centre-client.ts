import { CentreClient } from '../platform/centre/client.ts';
import { centreDispatcher } from '../platform/centre/dispatcher.ts';
import type { Logger } from '../platform/logger.ts';
import { openWatchedFile } from '../platform/watched-file.ts';
import { unreadable } from './unreadable-file.ts';

export interface CentreSettings {
  /** `https://host[:port]` of the centre's API for agents. */
  readonly centre: string;
  /** Files, read again whenever they change. */
  readonly centreCa: string;
  readonly token: string;
}

/**
 * Opens what a process of a node needs to ask the centre.
 * @throws Error with a message for people: a file that cannot be read
 */
export async function openCentre(
  settings: CentreSettings,
  log: Logger,
  parts: AsyncDisposableStack,
): Promise<CentreClient> {
  const open = async (option: string, path: string, what: string) => {
    const onError = (err: unknown) => log.error({ err, path }, 'cannot be read: what it held before goes on');
    const file = await openWatchedFile(path, { onError }).catch(unreadable(option, path, what));
    parts.defer(() => file.close());
    return file;
  };
  const token = await open('--token', settings.token, 'the projected token of audience oci-connector-agent');
  const ca = await open('--centre-ca', settings.centreCa, 'ca.crt of ConfigMap oci-connector-serving-ca');
  const dispatcher = centreDispatcher(settings.centre, () => ca.text);
  parts.defer(() => dispatcher.destroy());
  return new CentreClient({ centre: settings.centre, dispatcher, agentToken: () => token.text.trim() });
}
