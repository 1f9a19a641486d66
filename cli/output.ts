/** What a command writes: standard output is the result, standard error what there is to say about it. */
export interface Output {
  result(text: string): void;
  note(text: string): void;
}
