import { openOracle } from '../credentials/oracle/open.ts';
import { OracleCredentials } from '../credentials/oracle-credentials.ts';
import type { Logger } from '../platform/logger.ts';
import { redirectConsole } from './library-output.ts';
import type { OracleAccess } from './oracle-settings.ts';

/** Credentials from Oracle's cloud for a process that runs on; undefined where it has no identity there. */
export function openOracleCredentials(identity: OracleAccess | undefined, log: Logger): OracleCredentials | undefined {
  if (identity === undefined) return undefined;
  const { settings, furtherDomains } = identity;
  // Its SDK writes to the console, which is where our log goes: line by line, as JSON.
  redirectConsole((...words) => log.debug({ words: words.length }, "Oracle's SDK has written to the console"));
  const isHttpAllowed = settings.registryProtocol === 'http';
  return new OracleCredentials({ oracle: openOracle(settings), auth: settings.auth, furtherDomains, isHttpAllowed });
}
