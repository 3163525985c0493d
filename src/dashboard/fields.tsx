/** A list to choose from, with what was chosen although it is not in it. */
export function Choice({
  name,
  label,
  values,
  chosen,
  names = {},
}: {
  name: string
  label: string
  values: readonly string[]
  chosen: string | undefined
  /** What people read, where that is not the value. */
  names?: Record<string, string>
}) {
  const all = chosen === undefined || values.includes(chosen) ? values : [...values, chosen]
  return (
    <label>
      {label}
      <select name={name}>
        <option value="">any</option>
        {all.map((value) => (
          <option value={value} selected={value === chosen}>
            {names[value] ?? value}
          </option>
        ))}
      </select>
    </label>
  )
}

export function Text(props: { name: string; label: string; value: string | undefined; type?: string }) {
  const { name, label, value, type = 'text' } = props
  return (
    <label>
      {label}
      <input name={name} type={type} value={value ?? ''} autocomplete="off" />
    </label>
  )
}
