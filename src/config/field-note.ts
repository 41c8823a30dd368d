/** Something wrong, or worth knowing, in a field of a configuration. */
export interface FieldNote {
  /** Keys in snake_case and indices from the root, joined by dots: `nodes.0.url`. */
  readonly path: string;
  readonly message: string;
  /** The field that shows it, where the one it is about is absent. */
  readonly at?: string;
}
