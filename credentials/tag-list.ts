import type { Answer } from './ask.ts';

/** Path of a repository's list of tags, of which one is enough: what pulling is proved by. */
export const tagsPath = (repository: string): string => `/v2/${repository}/tags/list?n=1`;

/** Not every registry lists tags; one that says so has let us in. */
export const isLetIn = ({ status }: Pick<Answer, 'status'>): boolean =>
  (status >= 200 && status < 300) || status === 405 || status === 501;
