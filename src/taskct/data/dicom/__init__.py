"""DICOM: CT series in and out, segmentations, and what is odd about a file. Modules are imported where they are needed.

Where a quirk of files belongs:

    find                     which files of a folder are DICOM, and to which series they belong
    parse, values            files with broken structure; header values that are damaged or not what they claim
    syntaxes, codestream     transfer syntaxes that can be read; sizes that compressed frames declare
    decoder_process          decoders that crash or want too much memory
    pixels, dicom_padding    stored numbers -> HU: bits, rescaling, what stands outside the scanned circle
    slice_headers            place, size and scale of every slice, also of enhanced files
    slice_positions          order, spacing and tilt of the slices; positions that do not make one stack
    missing_slices           slices that are missing at an end, by what headers count
    lost_files               files of a series' folder that can no longer be read
    series                   one series as a Case, from all of these
    rtstruct, seg            labels from contours and from segmentations
    mask_series              labels from series of mask images
    label_objects            which objects label which series
    identity                 which attributes may be written, and how UIDs are replaced
    derived_series           a Case -> a CT series
    write_seg                labels -> a segmentation object
    dicom_info               what `taskct info` says of a folder without failing on what is odd
"""
