import { createLogger } from '../platform/logger.ts';
import { startNode } from './node.ts';
import { readNodeSettings } from './node-settings.ts';
import { runUntilSignal } from './run-until-signal.ts';

export async function runNode(options: unknown): Promise<void> {
  const settings = readNodeSettings(options, process.env, process.stderr.isTTY === true);
  const log = createLogger({ level: settings.logLevel, isPretty: settings.isPretty });
  await runUntilSignal(log, () => startNode(settings, log));
}
