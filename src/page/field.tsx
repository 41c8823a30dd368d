import type { ComponentChildren } from 'preact';

interface ControlAttributes {
  readonly id: string;
  readonly name: string;
  readonly 'aria-invalid': boolean;
  readonly 'aria-describedby': string | undefined;
}

/** A labelled control of a form, with what is wrong with its value. */
export function Field(props: {
  readonly name: string;
  readonly label: string;
  readonly fault?: string | undefined;
  readonly children: (attributes: ControlAttributes) => ComponentChildren;
}) {
  const { name, label, fault, children } = props;
  const id = `field-${name}`;
  const faultId = `${id}-fault`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({
        id,
        name,
        'aria-invalid': fault !== undefined,
        'aria-describedby': fault === undefined ? undefined : faultId,
      })}
      {fault !== undefined && (
        <span class="fault" role="alert" id={faultId}>
          {fault}
        </span>
      )}
    </div>
  );
}
