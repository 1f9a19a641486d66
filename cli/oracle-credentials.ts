import { openOracle } from '../credentials/oracle/open.ts';
import { OracleCredentials } from '../credentials/oracle-credentials.ts';
import type { Logger } from '../platform/logger.ts';
import type { OracleIdentity } from './oracle-settings.ts';

/** Credentials from Oracle's cloud for a process that runs on; undefined where it has no identity there. */
export function openOracleCredentials(
  identity: OracleIdentity | undefined,
  log: Logger,
): OracleCredentials | undefined {
  if (identity === undefined) return undefined;
  const { settings, furtherDomains } = identity;
  quietConsole(log);
  const isHttpAllowed = settings.registryProtocol === 'http';
  return new OracleCredentials({ oracle: openOracle(settings), furtherDomains, isHttpAllowed });
}

/** Oracle's SDK writes to the console, which is where our log goes: line by line, as JSON. */
function quietConsole(log: Logger): void {
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    console[method] = (...words: readonly unknown[]) => {
      // Its words about errors may hold what was sent.
      log.debug({ words: words.length }, "Oracle's SDK has written to the console");
    };
  }
}
