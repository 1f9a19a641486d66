import { createLogger } from '../../platform/logger.ts';

/** One for all tests: each logger listens to the end of the process. */
export const log = createLogger({ level: 'silent', isPretty: false });
